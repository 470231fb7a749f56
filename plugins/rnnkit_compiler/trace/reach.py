"""What the code of a step reaches beside its module: functions, and the globals, classes and objects that they read."""

import os
import sys
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from itertools import chain
from types import CellType, FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType, SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from rnnkit_compiler.trace.attributes import Attributes
from rnnkit_compiler.trace.classes import version_of
from rnnkit_compiler.trace.frozen import FIXED, PLAIN, WRAPPERS, Identity, Unfrozen, frozen, held_by
from rnnkit_compiler.trace.named import EVALUATING, named_in
from rnnkit_compiler.trace.owners import is_library, is_own, own_bases, package
from rnnkit_compiler.trace.torch_modules import attributes_of

PLAIN_TYPES = frozenset(PLAIN)
"""Types that are passed over at once; those derived from them may have code of their own."""

CLOSED = (*PLAIN, Tensor)
"""What no code of the user's is behind."""

BY_THEMSELVES = frozenset(("step", "project", "forward"))
"""Methods that are called by no name in a step."""

SILENT = frozenset(("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__del__"))
"""Special methods that no step runs."""

MAKING = frozenset(("__init__", "__new__", "__post_init__", "__init_subclass__"))
"""Special methods that run where a step makes an object."""

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

WHOLE = frozenset(("getattr", "vars", "dir", "__dict__", "asdict", "astuple", "fields", "replace"))
"""What reads attributes of such an object that are not named."""

PAST_TORCH = frozenset(("numpy", "tolist", "__array__", "__dlpack__"))
"""Methods of tensors that give their numbers."""

Reading: TypeAlias = tuple[Callable[[], Any], str]
"""How to read something, and its name."""

Lookup: TypeAlias = tuple[Mapping[str, Any], tuple[str, ...]]
"""A table, and the names that are looked up in it."""


class Reach:
    """What may be read while a step runs, apart from attributes of its modules: found by walking from name to name.

    A function names globals, and attributes of the user's modules, classes and objects. What it finds there it
    may call, so what is found is walked in turn. Objects are read whole, whatever computes their attributes.

    Args:
        cell: whose step it is.
    """

    def __init__(self, cell: nn.Module) -> None:
        self.functions: dict[FunctionType, None] = {}
        """Of the user's, all that may run."""

        self.classes: dict[type, None] = {}
        """Of the user's, those whose attributes may be read."""

        self._modules = list(cell.modules())
        self._users = frozenset(package(type(module).__module__) for module in self._modules)
        held = [value for module in self._modules for _, value in attributes_of(module)]
        self._words = tuple(value for value in held if type(value) is str and value.isidentifier())
        self._attributes = dict.fromkeys((*BY_THEMSELVES, *self._words))  # a step may look for what a text names
        self._globals: dict[int, tuple[Mapping[str, Any], dict[str, None]]] = {}
        self._holders: dict[int, Mapping[str, Any]] = {}
        self._records: set[int] = set()
        self._named: list[tuple[str, Any]] = []
        self._opened: dict[int, Any] = {id(module): module for module in self._modules}
        self._left: deque[Any] = deque()
        for module in self._modules:
            self._add_bases(own_bases(_type_of(module)), SILENT | MAKING)
        self._left += (value for value in held if type(value) not in PLAIN_TYPES)
        while self._left:
            self._open(self._left.popleft())

    @property
    def reads_past_torch(self) -> bool:
        """Whether a step may look at the numbers of a tensor without torch's knowing."""
        return id(np) in self._opened or not PAST_TORCH.isdisjoint(self._attributes)

    @property
    def lookups(self) -> list[Lookup]:
        """The tables in which code looks up what it names, but for those of classes; what it finds may be exchanged."""
        attributes, classes = tuple(self._attributes), {*map(id, self.classes)}
        outside = [(table, tuple(names)) for table, names in self._globals.values()]
        return [*outside, *((table, attributes) for key, table in self._holders.items() if key not in classes)]

    def readings(self) -> Iterator[Reading]:
        """Say how to read what functions name, close over, and have for defaults."""
        by_name = self._by_name()
        read = (each for each in self._named if not isinstance(each[1], FIXED) and id(each[1]) not in by_name)
        yield from ((partial(_itself, value), name) for name, value in read)
        for function in self.functions:
            given = (name for name in ("__defaults__", "__kwdefaults__") if getattr(function, name))
            yield from ((partial(getattr, function, name), function.__name__) for name in ("__code__", *given))
            yield from ((partial(getattr, cell, "cell_contents"), name) for name, cell in _cells(function))

    def key(self) -> Hashable:
        """Describe all that is reached; raises Unfrozen where something may change unseen."""
        named = (Identity(value) for _, value in self._named if not isinstance(value, CLOSED))
        read = (frozen(read(), name) for read, name in self.readings())
        return (tuple(self.functions), tuple(map(version_of, self.classes)), *named, *read)

    def _open(self, value: Any) -> None:
        """Walk what may be called, or looked into, by way of a value."""
        if isinstance(value, CLOSED):
            self._add_bases(self._own_bases(type(value)), SILENT | MAKING)  # an enumeration's, say
            return
        if id(value) in self._opened:
            return
        self._opened[id(value)] = value
        if isinstance(value, FunctionType):
            self._add_function(value)
        elif isinstance(value, ModuleType):
            self._add_module(value)
        elif isinstance(value, type):
            self._add_class(value)
        elif isinstance(value, nn.Module):
            self._add_bases(own_bases(_type_of(value)), SILENT | MAKING)
            self._add_holder(value, vars(value))
        elif isinstance(value, WRAPPERS):
            self._left += (getattr(value, name, None) for name in ("fget", "func", "__func__"))
        elif not isinstance(value, FIXED):
            self._add_object(value)

    def _add_function(self, function: FunctionType) -> None:
        if is_library(function.__module__):
            return
        self._left += (cell.cell_contents for _, cell in _cells(function))
        if not self._is_own(function.__globals__.get("__name__")):  # a decorator's, around a function of the user's
            self._left += vars(function).values()
            return
        self.functions[function] = None
        self._left += function.__defaults__ or ()
        self._left += (function.__kwdefaults__ or {}).values()
        names = named_in(function.__code__)
        table, asked = self._globals.setdefault(id(function.__globals__), (function.__globals__, {}))
        outside = names.outside if EVALUATING.isdisjoint(names.outside) else (*names.outside, *self._words)
        self._look_up(table, [name for name in outside if name not in asked])
        asked |= dict.fromkeys(outside)
        self._left += (sys.modules[name] for name in names.imported if name in sys.modules)
        new = [name for name in names.attributes if name not in self._attributes]
        self._attributes |= dict.fromkeys(new)
        for holder in list(self._holders.values()):
            self._look_up(holder, new)

    def _add_module(self, module: ModuleType) -> None:
        if module is os:
            self._add_holder(os, {"environ": os.environ, "getenv": os.environ})
        elif self._is_own(module.__name__):
            self._add_holder(module, vars(module))

    def _add_class(self, kind: type) -> None:
        """Add a class that code names: it may make objects of it."""
        metaclass: type = type(kind)
        bases = self._own_bases(kind) + self._own_bases(metaclass)
        unrun = SILENT | MAKING if issubclass(kind, nn.Module) else SILENT
        self._add_bases(bases, unrun, whole=issubclass(kind, torch.autograd.Function))

    def _add_bases(self, bases: Iterable[type], unrun: frozenset[str], whole: bool = False) -> None:
        for base in bases:
            self.classes[base] = None
            self._add_holder(base, vars(base))
            for name, attribute in vars(base).items():
                special = name.startswith("__") and name.endswith("__") and name not in unrun
                if whole or (special and isinstance(attribute, FunctionType)):
                    self._left.append(attribute)

    def _add_object(self, value: Any) -> None:
        """Add an object, to be read whole; a record, and one of the user's that can't be, as with a lock, by name."""
        kind: type = type(value)
        if is_library(kind.__module__):
            return
        self._add_bases(self._own_bases(kind), SILENT | MAKING)
        if _is_record(kind, self._users):
            self._records.add(id(value))
            self._add_holder(value, Attributes(value))
            return
        try:
            frozen(value, "")
        except Unfrozen:
            if self._is_own(kind.__module__):
                self._add_holder(value, Attributes(value))
        else:
            self._left += (part for part in held_by(value, "") if type(part) not in PLAIN_TYPES)

    def _add_holder(self, owner: Any, table: Mapping[str, Any]) -> None:
        """Add a table of attributes."""
        if id(owner) not in self._holders:
            self._holders[id(owner)] = table
            self._look_up(table, list(self._attributes))

    def _look_up(self, table: Mapping[str, Any], names: Iterable[str]) -> None:
        for name in names:
            value = table.get(name)
            if value is os.getenv:
                value = os.environ
            if value is not None:
                self._named.append((name, value))
                self._left.append(value)

    def _by_name(self) -> set[int]:
        """Return the ids of what is read name by name and not whole; a record is, unless something reads all of it."""
        named = {*self._attributes, *chain.from_iterable(names for _, names in self._globals.values())}
        return {*self._holders} - (set() if WHOLE.isdisjoint(named) else self._records)

    def _own_bases(self, kind: type) -> list[type]:
        return [base for base in kind.__mro__ if self._is_own(base.__module__)]

    def _is_own(self, module: str | None) -> bool:
        return is_own(module, self._users)


def _type_of(module: nn.Module) -> type:
    return type(module)


@lru_cache(maxsize=512)
def _is_record(kind: type, users: frozenset[str]) -> bool:
    """Tell whether objects of a class of the user's, or a namespace, do no more than hold attributes."""
    bases = [base for base in kind.__mro__ if base not in (object, *NAMESPACES)]
    attributes = [item for base in bases for item in vars(base).items() if item[0] not in HARMLESS]
    return all(is_own(base.__module__, users) for base in bases) and not any(
        hasattr(type(value), "__get__") and not isinstance(value, PLACES) for _, value in attributes
    )


def _cells(function: FunctionType) -> Iterator[tuple[str, CellType]]:
    """Give what a function closes over, by name."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name != "__class__" and cell != CellType():
            yield name, cell


def _itself(value: Any) -> Any:
    return value
