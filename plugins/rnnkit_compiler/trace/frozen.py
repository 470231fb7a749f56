"""Frozen values: what Python objects hold, in a form that is equal as long as they hold the same."""

import logging
import os
import re
from array import array
from collections import deque, namedtuple
from collections.abc import Hashable, Mapping, Set
from contextvars import ContextVar
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
    UnionType,
    WrapperDescriptorType,
)
from typing import Any
from weakref import ReferenceType

import numpy as np
import torch
from torch import Tensor, nn

from rnnkit_compiler.trace.attributes import dictionary_of, slot, slots_of

NUMBERS = (bool, int, float, complex, Decimal, date, timedelta, np.generic)

PLAIN = (*NUMBERS, str, bytes, type(None), torch.dtype, torch.device, torch.Size, np.dtype, Enum, PurePath)
"""Values that never change."""

PLAIN_TYPES = frozenset(PLAIN)
"""Types of such values; those that are derived from them may have attributes, and code of their own."""

EXACT = frozenset((bool, int, str, type(None)))
"""Types whose equal values are the same to a step."""

FIELD = type(vars(namedtuple("Pair", "left right"))["left"])

CODE = (type, FunctionType, BuiltinFunctionType, CodeType, ModuleType, torch.jit.ScriptFunction)
WRAPPERS = (property, cached_property, classmethod, staticmethod)
DESCRIPTORS = (WrapperDescriptorType, MethodDescriptorType, ClassMethodDescriptorType, GetSetDescriptorType)
TOLD = (torch.finfo, torch.iinfo, torch.layout, torch.memory_format, torch._ops.OpOverload, torch._ops.OpOverloadPacket)

FIXED = (
    *(*CODE, *WRAPPERS, *DESCRIPTORS, *TOLD, MemberDescriptorType, FIELD, UnionType, GenericAlias, np.ufunc),
    *(nn.Module, torch.Generator, logging.Logger, re.Pattern, re.Match, itemgetter, attrgetter, methodcaller),
    *(EllipsisType, NotImplementedType, BaseException, tzinfo, Struct),
)
"""What is known by itself. Submodules are walked by whoever freezes a module; random numbers are drawn by nobody."""

CONTAINERS = (list, dict, set, deque, array, np.ndarray)
"""Of what a class holds, what may be changed in place."""

DEPTH = 8
"""Of containers within containers."""

LARGEST = 1 << 16
"""Bytes of an array that are compared at every call."""


class Unfrozen(Exception):  # noqa: N818 - a reason, not an error: what raises it falls back
    """A value that may change unseen; says which."""


class Identity:
    """An object that is equal to itself alone; held, so that no other can take its address."""

    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and other.held is self.held

    def __hash__(self) -> int:
        return id(self.held)


def frozen(value: Any, where: str, depth: int = DEPTH, within: frozenset[int] = frozenset()) -> Hashable:
    """Return what a value holds.

    Args:
        value: any.
        where: names it in the reason.
        depth: how many containers within each other are opened.
        within: the containers that it is in, so that none is opened twice.

    Raises:
        Unfrozen: it may change unseen.
    """
    kind = type(value)
    if kind in EXACT or (kind is float and value and value == value):  # not a zero, which has a sign, nor a NaN
        return (kind, value)
    if isinstance(value, PLAIN):
        told = (kind, repr(value) if isinstance(value, float | complex | np.generic) else value)
        own = dictionary_of(value) or {}
        return (*told, *(frozen(item, where, depth - 1, within) for pair in own.items() for item in pair))
    if isinstance(value, Tensor):
        return (Identity(value), value._version)
    if isinstance(value, FunctionType) and value.__closure__:
        inside: Any = [cell.cell_contents for cell in value.__closure__ if cell != CellType()]
    elif isinstance(value, FIXED):
        return Identity(value)
    else:
        inside = held_by(value, where)
    if id(value) in within:
        return (type(value), "itself")
    if not depth:
        raise Unfrozen(f"{where} holds more than {DEPTH} objects within each other")
    parts = (frozen(item, where, depth - 1, within | {id(value)}) for item in inside)
    return (type(value), Identity(value) if not isinstance(value, list | tuple | dict) else None, *parts)


def held_by(value: Any, where: str) -> list[Any]:
    """List what a container or object holds; raises Unfrozen where that can't be told."""
    if type(value) is dict:  # before the abstract kinds, which take long to ask for
        return [item for pair in value.items() for item in pair]
    kind: type = type(value)
    inside, own, slots = _contents(value, where), dictionary_of(value), slots_of(kind)
    if inside is None and (kind.__module__ == "builtins" or (own is None and not slots)):
        raise Unfrozen(f"{where} is a {kind.__name__}, whose changes are not seen")
    named = {} if own is None or value is os.environ else own
    return [*(inside or ()), *named, *named.values(), *slots, *(slot(value, name) for name in slots)]


def _contents(value: Any, where: str) -> list[Any] | None:
    """List what is in a container, apart from attributes of its own; None: it is none."""
    if isinstance(value, list | tuple | deque):
        return list(value)
    if isinstance(value, Mapping):
        return [item for pair in value.items() for item in pair]
    if isinstance(value, Set):
        return sorted(value, key=repr)
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
    if isinstance(value, np.ndarray | array | bytearray | memoryview):
        if _size(value) > LARGEST:
            raise Unfrozen(f"{where} is a large {type(value).__name__}, whose changes are not seen; make it a buffer")
        return [str(getattr(value, "shape", "")), str(getattr(value, "dtype", "")), bytes(value)]
    return None


def _size(value: Any) -> int:
    """Return the bytes of an array."""
    return int(value.nbytes) if hasattr(value, "nbytes") else len(value) * int(getattr(value, "itemsize", 1))
