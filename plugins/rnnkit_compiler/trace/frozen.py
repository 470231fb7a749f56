"""Frozen values: what Python objects hold, in a form that is equal as long as they hold the same."""

import ctypes
import logging
import os
import re
from argparse import Namespace
from array import array
from collections import defaultdict, deque, namedtuple
from collections.abc import Callable, Hashable, Mapping, Set
from contextvars import ContextVar
from dataclasses import is_dataclass
from datetime import date, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from functools import cached_property, partial
from operator import attrgetter, itemgetter, methodcaller
from pathlib import PurePath
from struct import Struct
from types import (
    BuiltinFunctionType,
    CellType,
    ClassMethodDescriptorType,
    CodeType,
    EllipsisType,
    FunctionType,
    GenericAlias,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    NotImplementedType,
    SimpleNamespace,
    UnionType,
    WrapperDescriptorType,
)
from typing import Any
from weakref import ReferenceType

import numpy as np
import torch
from torch import Tensor, nn

from rnnkit_compiler.trace import foreign_generators
from rnnkit_compiler.trace.attributes import dictionary_of, slot, slots_of
from rnnkit_compiler.trace.held import form_of
from rnnkit_compiler.trace.identity import Identity, identity
from rnnkit_compiler.trace.simple import simple_of

NUMBERS = (bool, int, float, complex, Decimal, date, timedelta, np.generic)

PLAIN = (*NUMBERS, str, bytes, type(None), torch.dtype, torch.device, torch.Size, np.dtype, Enum, PurePath)
"""Values that never change."""

PLAIN_TYPES = frozenset(PLAIN)
"""Types of such values; those that are derived from them may have attributes, and code of their own."""

EXACT = frozenset((bool, int, str, type(None)))
"""Types whose equal values are the same to a step."""

FORMS_OF_DERIVED: dict[type, Callable[[Any], str]] = {int: int.__repr__, str: str.__str__, bytes: bytes.hex}
"""By a plain type, what writes down a value of a type derived from it, so that the value itself is not held."""

FIELD = type(vars(namedtuple("Pair", "left right"))["left"])

CODE = (type, FunctionType, BuiltinFunctionType, CodeType, ModuleType, torch.jit.ScriptFunction)
WRAPPERS = (property, cached_property, classmethod, staticmethod)
DESCRIPTORS = (WrapperDescriptorType, MethodDescriptorType, ClassMethodDescriptorType, GetSetDescriptorType)
OPERATORS = (torch._ops.OpOverload, torch._ops.OpOverloadPacket)
TORCH_CONSTANTS = (torch.finfo, torch.iinfo, torch.layout, torch.memory_format, *OPERATORS)

FIXED = (
    *(*CODE, *WRAPPERS, *DESCRIPTORS, *TORCH_CONSTANTS, MemberDescriptorType, FIELD, UnionType, GenericAlias, np.ufunc),
    *(nn.Module, torch.Generator, logging.Logger, re.Pattern, re.Match, itemgetter, attrgetter, methodcaller),
    *(EllipsisType, NotImplementedType, BaseException, tzinfo, Struct),
)
"""What is known by itself. Submodules are walked by whoever freezes a module; random numbers are drawn by nobody."""

MUTABLE_CONTAINERS = (list, dict, set, deque, array, np.ndarray)
"""Of what a class holds, what may be changed in place."""

C_DATA: Any = ctypes.c_int.__mro__[-2]
C_POINTERS = (ctypes._Pointer, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_wchar_p, ctypes.py_object)
"""Numbers as C has them, and what tells where others are."""

DEPTH = 8
"""Of containers within containers."""

LARGEST = 1 << 16
"""Bytes of an array that are compared at every call."""


class Unfrozen(Exception):  # noqa: N818 - a reason, not an error: what raises it falls back
    """A value that may change unseen; says which."""


Seen = dict[int, tuple[int, Any]]
"""Numbers of the objects that were opened, by id; the objects too, so that no other can take the address of one."""


def frozen(value: Any, where: str, seen: Seen | None = None, depth: int = DEPTH) -> Hashable:
    """Return what a value holds.

    Args:
        value: any.
        where: names it in the reason.
        seen: what was opened before: none is opened twice.
        depth: how many containers within each other are opened.

    Raises:
        Unfrozen: it may change unseen.
    """
    kind = type(value)
    if kind in EXACT or (kind is float and value and value == value):  # not a zero, which has a sign, nor a NaN
        return (kind, value)
    seen = {} if seen is None else seen
    if kind in (list, tuple, dict):
        return _of_parts(value, None, where, seen, depth)
    if isinstance(value, PLAIN):
        told = _plain(value)
        own = dictionary_of(value) if kind not in PLAIN_TYPES else None
        return (*told, *(frozen(item, where, seen, depth - 1) for pair in (own or {}).items() for item in pair))
    if isinstance(value, Tensor):
        seen.setdefault(id(value), (len(seen), value))
        return (Identity(value), form_of(value))  # its numbers are read at each call
    if isinstance(value, FunctionType) and value.__closure__:
        inside: Any = [cell.cell_contents for cell in value.__closure__ if cell != CellType()]
    elif isinstance(value, FIXED):
        if isinstance(value, nn.Module):
            seen.setdefault(id(value), (len(seen), value))
        return identity(value)
    else:
        inside = None
    return _of_parts(value, inside, where, seen, depth)


def _of_parts(value: Any, parts: list[Any] | None, where: str, seen: Seen, depth: int) -> Hashable:
    """Return what is in parts of a value; None: in all that it holds."""
    if (simple := simple_of(value)) is not None:
        return (simple, seen.setdefault(id(value), (len(seen), value))[0])  # the same one twice is not two equal ones
    inside = held_by(value, where) if parts is None else parts
    if id(value) in seen:
        return (kind_of(value), seen[id(value)][0])
    if not depth:
        raise Unfrozen(f"{where} holds more than {DEPTH} objects within each other")
    seen[id(value)] = (len(seen), value)
    own = None if is_equal_by_contents(value) else identity(value)
    return (kind_of(value), own, *[frozen(item, where, seen, depth - 1) for item in inside])


def kind_of(value: Any) -> Hashable:
    """Return the type of a value, which is not kept alive if it is somebody's."""
    kind: type = type(value)
    return kind if kind.__module__ == "builtins" or kind in PLAIN_TYPES else Identity(kind)


def _plain(value: Any) -> tuple[Hashable, ...]:
    """Tell a value that never changes from others, without what may be its attributes."""
    if isinstance(value, Enum):
        return (identity(value),)
    if isinstance(value, float | complex | np.generic):
        return (kind_of(value), repr(value))
    tell = next((tell for base, tell in FORMS_OF_DERIVED.items() if isinstance(value, base)), None)
    is_derived = type(value) not in PLAIN_TYPES
    return (kind_of(value), tell(value) if tell and is_derived else value)


def is_equal_by_contents(value: object) -> bool:
    """Tell whether an object is as good as another of its class that holds the same, so that copies of a cell are."""
    if isinstance(value, (list, tuple, dict, range, slice, partial)):
        return True
    kind = type(value)
    return kind.__eq__ is not object.__eq__ and (is_dataclass(kind) or isinstance(value, SimpleNamespace | Namespace))


def equal_by_contents_within(held: list[Any]) -> set[int]:
    """Return the ids of what modules hold that is as good as an equal one: two cells have each its own."""
    told: set[int] = set()
    while held:
        value = held.pop()
        if id(value) in told or not is_equal_by_contents(value):
            continue
        told.add(id(value))
        if simple_of(value) is None:
            held += (part for part in held_by(value, "") if type(part) not in PLAIN_TYPES)
    return told


def held_by(value: Any, where: str) -> list[Any]:
    """List what a container or object holds; raises Unfrozen where that can't be told."""
    if type(value) is dict:  # before the abstract kinds, which take long to ask for
        return [item for pair in value.items() for item in pair]
    if type(value) in (list, tuple):
        return [*value]
    kind: type = type(value)
    inside, own, slots = contents_of(value, where), dictionary_of(value), slots_of(kind)
    if inside is None and (kind.__module__ == "builtins" or (own is None and not slots)):
        raise Unfrozen(f"{where} is a {kind.__name__}, whose changes are not seen")
    named = {} if own is None or value is os.environ else own
    return [*(inside or ()), *named, *named.values(), *slots, *(slot(value, name) for name in slots)]


def contents_of(value: Any, where: str) -> list[Any] | None:
    """List what is in a container, apart from attributes of its own; None: it is none."""
    if isinstance(value, list | tuple | deque):
        return list(value)
    if isinstance(value, Mapping):
        factory = [value.default_factory] if isinstance(value, defaultdict) else []
        return [*factory, *(item for pair in value.items() for item in pair)]
    if isinstance(value, Set):
        return [*value]  # in the order in which a step goes through it, which equal sets need not have in common
    if isinstance(value, range | slice):
        return [value.start, value.stop, value.step]
    if isinstance(value, partial):
        return [value.func, *value.args, value.keywords]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, ContextVar):
        return [value.get(None)]
    if isinstance(value, ReferenceType):
        return [value()]
    if isinstance(value, C_DATA) and not isinstance(value, C_POINTERS):
        return [bytes(memoryview(value))]
    if isinstance(value, foreign_generators.KINDS) and foreign_generators.is_known(value):
        return []
    if isinstance(value, (C_DATA, *foreign_generators.KINDS)):  # of numbers elsewhere
        raise Unfrozen(f"{where} is a {type(value).__name__}, whose changes are not seen")
    if isinstance(value, np.ndarray | array | bytearray | memoryview):
        if _size(value) > LARGEST:
            raise Unfrozen(f"{where} is a large {type(value).__name__}, whose changes are not seen; make it a buffer")
        return [str(getattr(value, "shape", "")), str(getattr(value, "dtype", "")), bytes(value)]
    return None


def _size(value: Any) -> int:
    """Return the bytes of an array."""
    return int(value.nbytes) if hasattr(value, "nbytes") else len(value) * int(getattr(value, "itemsize", 1))
