"""Objects that a step reads: which of them do no more than hold attributes, and which are compared in little time."""

from argparse import Namespace
from types import GetSetDescriptorType, MemberDescriptorType, SimpleNamespace
from typing import Any

from torch import Tensor

from rnnkit_compiler.trace.by_class import by_class
from rnnkit_compiler.trace.frozen import FIXED, PLAIN, Unfrozen, held_by
from rnnkit_compiler.trace.owners import is_own

MOST_PARTS = 1000
"""Objects within an object that is compared whole at every call."""

NAMESPACES = (SimpleNamespace, *Namespace.__mro__)

PLACES = (MemberDescriptorType, GetSetDescriptorType)
"""Where the attributes of an object are."""

HARMLESS = frozenset(
    (
        *("__init__", "__post_init__", "__init_subclass__", "__repr__", "__eq__", "__hash__", "__lt__", "__le__"),
        *("__gt__", "__ge__", "__setattr__", "__delattr__", "__getstate__", "__setstate__", "__replace__"),
    )
)
"""Functions of a class whose objects do no more than hold attributes, such as one of settings."""


@by_class
def is_record(kind: type, users: frozenset[str]) -> bool:
    """Tell whether objects of a class of the user's, or a namespace, do no more than hold attributes."""
    bases = [base for base in kind.__mro__ if base not in (object, *NAMESPACES)]
    attributes = [item for base in bases for item in vars(base).items() if item[0] not in HARMLESS]
    return all(is_own(base.__module__, users) for base in bases) and not any(
        hasattr(type(value), "__get__") and not isinstance(value, PLACES) for _, value in attributes
    )


def is_small(value: Any) -> bool:
    """Tell whether all that an object holds can be compared, and in little time."""
    left, seen = [value], {id(value)}
    while left and len(seen) < MOST_PARTS:
        try:
            parts = held_by(left.pop(), "")
        except Unfrozen:
            return False
        new = [part for part in parts if not isinstance(part, (*PLAIN, Tensor, *FIXED)) and id(part) not in seen]
        seen |= set(map(id, new))
        left += new
    return len(seen) < MOST_PARTS
