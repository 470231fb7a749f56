"""Kinds of values that a walk over a step's code meets, and what it asks them."""

import logging
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextvars import ContextVar
from functools import cache, partial
from operator import attrgetter, itemgetter, methodcaller
from types import CellType, FunctionType, MethodType
from typing import Any, TypeAlias
from weakref import ReferenceType

import numpy as np
from torch import Tensor

from rnnkit_compiler.trace.frozen import C_DATA, PLAIN
from rnnkit_compiler.trace.owners import is_library

WITHOUT_CODE = (*PLAIN, Tensor)
"""Values that no code of the user's is behind: there is nothing to walk into."""

OF_TENSORS = vars(Tensor)
TENSOR_METHODS = frozenset(dir(Tensor))

_OF_TORCH = {
    name: value
    for name, value in OF_TENSORS.items()
    if type(value) is not FunctionType or is_library(getattr(value, "__module__", None))
}

READ_WHOLE = (
    *(list, tuple, deque, Mapping, Set, partial, MethodType),
    *(ContextVar, ReferenceType, array, np.ndarray, C_DATA),
)
"""Containers and the like, of which all that they hold is read: none of it is looked up by a name."""

GETTERS = (attrgetter, itemgetter, methodcaller)
"""What reads attributes or elements, or calls methods, that it was made with the names of."""

REMEMBERING = type(cache(lambda: None))
"""Functions that keep what they have returned."""

LEVELS = frozenset(("isEnabledFor", "getEffectiveLevel", "level", "disabled"))
"""What asks whether a logger writes."""

Reading: TypeAlias = tuple[Callable[[], Any], str]
"""How to read something, and its name."""

Lookup: TypeAlias = tuple[Mapping[str, Any], tuple[str, ...]]
"""A table, and the names that are looked up in it."""


def put_together(table: Mapping[str, Any], pieces: Iterable[str]) -> list[str]:
    """List the names in a table that may be put together of such pieces."""
    ends = tuple(pieces)
    if not ends:
        return []
    return [name for name in table if type(name) is str and (name.startswith(ends) or name.endswith(ends))]


def is_replaced(name: str) -> bool:
    """Tell whether tensors have a method of this name that is not torch's, or another of torch's than they had."""
    return OF_TENSORS.get(name) is not _OF_TORCH.get(name)


def level(logger: logging.Logger) -> int:
    """Return from what level on a logger writes."""
    return max(logger.getEffectiveLevel(), logger.manager.disable + 1, logging.CRITICAL + 1 if logger.disabled else 0)


def cells(function: FunctionType) -> Iterator[tuple[str, CellType]]:
    """Give what a function closes over, by name."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name != "__class__" and cell != CellType():
            yield name, cell
