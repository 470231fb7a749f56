"""What is the same object as before: told without keeping it alive, so that a key outlives no class that is in it."""

from collections.abc import Callable, Hashable
from functools import partial
from types import GetSetDescriptorType, MemberDescriptorType, SimpleNamespace
from typing import Any
from weakref import ref

from rnnkit_compiler.trace.by_class import by_class

OF_CLASSES = (MemberDescriptorType, GetSetDescriptorType)
"""Descriptors that hold the class in which they are."""

Reference = Callable[[], Any]
"""Gives an object; None where it is gone."""


class Identity:
    """An object that is equal to itself alone, while it is there.

    One that takes no weak reference is held, unless what it holds is looked at by whoever asks for its identity.
    """

    __slots__ = ("_get", "_place")

    def __init__(self, value: object) -> None:
        self._get, self._place = reference(value), id(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self._place == other._place and self._get() is other._get() is not None

    def __hash__(self) -> int:
        return self._place

    def is_class_of(self, kind: type) -> bool:
        """Tell whether it is a class derived from `kind`."""
        value = self._get()
        return isinstance(value, type) and issubclass(value, kind)


def identity(value: Any) -> Hashable:
    """Return what is equal as long as a value is the same object, or a property, say, is of the same parts."""
    kind: type = type(value)
    if kind is property:
        return (kind, *(part and Identity(part) for part in (value.fget, value.fset, value.fdel)))
    if isinstance(value, OF_CLASSES):
        return (kind, Identity(value.__objclass__), value.__name__)
    if isinstance(value, list | tuple | dict) or (not takes_reference(value) and _is_looked_into(kind)):
        return (Identity(kind), id(value))  # what it holds is in the key, too: that tells another there from it
    return Identity(value)


@by_class
def _is_looked_into(kind: type) -> bool:
    """Tell whether what objects of a class hold can be told: not of those written in C, as an `itemgetter`."""
    return issubclass(kind, SimpleNamespace) or any("__slots__" in vars(base) for base in kind.__mro__)


def takes_reference(value: object) -> bool:
    """Tell whether there can be a weak reference to an object."""
    return bool(type(value).__weakrefoffset__)


def reference(value: object) -> Reference:
    """Return a weak reference to an object, or what holds it where there is none."""
    return ref(value) if takes_reference(value) else partial(_itself, value)


def _itself(value: Any) -> Any:
    return value
