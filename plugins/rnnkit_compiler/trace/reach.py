"""What the code of a step reaches beside its module: functions, and the globals, classes and objects that they read."""

import logging
import os
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit_compiler.trace import kinds
from rnnkit_compiler.trace.attributes import Attributes
from rnnkit_compiler.trace.classes import held_of, named_by, read_of
from rnnkit_compiler.trace.frozen import (
    FIXED,
    PLAIN_TYPES,
    WRAPPERS,
    Seen,
    Unfrozen,
    equal_by_contents_within,
    frozen,
    held_by,
    kind_of,
)
from rnnkit_compiler.trace.identity import Identity, identity
from rnnkit_compiler.trace.libraries import Libraries
from rnnkit_compiler.trace.named import COMPARING, named_in
from rnnkit_compiler.trace.objects import is_record, is_small
from rnnkit_compiler.trace.owners import imported_by, is_library, is_own, module_of, own_bases, package, users_bases
from rnnkit_compiler.trace.simple import simple_of
from rnnkit_compiler.trace.special_names import BY_TEXT, BY_THEMSELVES, EVALUATING, PAST_TORCH, SILENT, UNRUN, WHOLE
from rnnkit_compiler.trace.torch_modules import attributes_of, contents_of


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
        """Of the cell's modules, but for torch's: what is read of others is looked up by name."""

        self._modules = list(cell.modules())
        self._users = frozenset(package(type(module).__module__) for module in self._modules)
        held = [value for module in self._modules for _, value in attributes_of(module)]
        self._words = tuple(value for value in held if type(value) is str and value.isidentifier())
        self._attributes = dict.fromkeys(BY_THEMSELVES)
        self._pieces: dict[str, None] = {}
        """Beginnings and ends of names that code puts together."""

        self._texts: list[Iterable[str]] | None = [self._words]
        """That may be names of attributes; None: they are among them, since code looks for such."""

        self._globals: dict[int, tuple[Mapping[str, Any], dict[str, None]]] = {}
        self.libraries = Libraries()
        """What it names of modules that are not the user's."""

        self._holders: dict[int, Mapping[str, Any]] = {}
        self._records: set[int] = set()
        self.outer: list[nn.Module] = []
        """Modules that are none of the cell's."""

        self.packages: set[str] = set()
        """Of all that it names."""
        self._named: list[tuple[str, Any]] = []
        self.opened: dict[int, Any] = {id(module): module for module in self._modules}
        self._left: deque[Any] = deque()
        for module in self._modules:
            bases = own_bases(module)
            self.classes |= dict.fromkeys(bases)
            self._add_bases(bases)
        self._left += (value for value in held if type(value) not in PLAIN_TYPES)
        self._by_contents = equal_by_contents_within(list(self._left))
        while self._left:
            self._open(self._left.popleft())

    @property
    def reads_past_torch(self) -> bool:
        """Whether a step may look at the numbers of a tensor without torch's knowing."""
        return "numpy" in self.packages or self.names_any(PAST_TORCH)

    def names_any(self, names: frozenset[str]) -> bool:
        """Tell whether code may look up one of some names."""
        outside = chain.from_iterable(table for _, table in self._globals.values())
        return not names.isdisjoint((*self._attributes, *outside))

    @property
    def lookups(self) -> list[kinds.Lookup]:
        """The tables in which code looks up what it names; what it finds may be exchanged. Not those of `classes`."""
        attributes, classes = tuple(self._attributes), {*map(id, self.classes)}
        outside = [(table, tuple(names)) for table, names in self._globals.values()]
        return [
            *outside,
            *self.libraries.lookups(),
            (kinds.OF_TENSORS, tuple(kinds.TENSOR_METHODS.intersection(attributes))),
            *((table, attributes) for key, table in self._holders.items() if key not in classes),
        ]

    def named(self) -> Iterator[tuple[str, Any]]:
        """Give what functions name and what is read of it whole, by name: the same values as long as `lookups` are."""
        by_name = self._by_name()
        yield from (each for each in self._named if not isinstance(each[1], FIXED) and id(each[1]) not in by_name)
        yield from (pair for one in self.outer for pair in contents_of(one))

    def readings(self) -> Iterator[kinds.Reading]:
        """Say how to read what functions close over and have for defaults, and settings."""
        yield from self.libraries.readings()
        for function in self.functions:
            given = (name for name in ("__defaults__", "__kwdefaults__") if getattr(function, name))
            yield from ((partial(getattr, function, name), function.__name__) for name in ("__code__", *given))
            yield from ((partial(getattr, cell, "cell_contents"), name) for name, cell in kinds.cells(function))

    def key(self, seen: Seen) -> Hashable:
        """Describe all that is reached; raises Unfrozen where something may change unseen."""
        found = (value for _, value in self._named if not isinstance(value, kinds.WITHOUT_CODE))
        named = (kind_of(value) if id(value) in self._by_contents else identity(value) for value in found)
        classes = (held_of(kind, names, seen) for kind, names in self.read_of_classes())
        values = (frozen(value, name, seen) for name, value in self.named())
        read = (frozen(read(), name, seen) for read, name in self.readings())
        own = (*map(Identity, self.functions), *self.libraries.key(seen))
        return (own, *classes, *named, *values, *read)

    def read_of_classes(self) -> Iterator[tuple[type, tuple[str, ...]]]:
        """Give the cell's classes, with the attributes that may be read of each."""
        for kind in self.classes:
            yield kind, tuple(vars(kind)) if self.reads_whole else read_of(kind, self._attributes)

    def _open(self, value: Any) -> None:
        """Walk what may be called, or looked into, by way of a value."""
        if isinstance(value, kinds.WITHOUT_CODE):
            self._add_bases(users_bases(type(value), self._users))  # an enumeration's, say
            return
        if id(value) in self.opened:
            return
        self.opened[id(value)] = value
        if type(value) in (list, tuple, dict):
            self._add_parts(value)
            return
        self.packages.add(package(module_of(value)))
        if isinstance(value, FunctionType):
            self._add_function(value)
        elif isinstance(value, ModuleType):
            self._add_module(value)
        elif isinstance(value, type):
            self._add_class(value)
        elif isinstance(value, nn.Module):
            self._add_outer(value)
        elif isinstance(value, WRAPPERS):
            self._left += (getattr(value, name, None) for name in ("fget", "func", "__func__"))
        elif isinstance(value, logging.Logger):
            self.libraries.loggers.append(value)
        elif isinstance(value, kinds.GETTERS):
            self._add_names(part for text in value.__reduce__()[1] for part in str(text).split("."))
        elif not isinstance(value, FIXED):
            self._add_object(value)

    def _add_function(self, function: FunctionType) -> None:
        if is_library(function.__module__):
            return
        self._left += (cell.cell_contents for _, cell in kinds.cells(function))
        if not is_own(
            function.__globals__.get("__name__"), self._users
        ):  # a decorator's, around a function of the user's
            self._left += vars(function).values()
            return
        self.functions[function] = None
        self._add_holder(function, vars(function))
        self._left += (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        names = named_in(function.__code__)
        table, asked = self._globals.setdefault(id(function.__globals__), (function.__globals__, {}))
        evaluated = () if EVALUATING.isdisjoint(names.outside) else kinds.put_together(table, names.pieces)
        outside = (*names.outside, *evaluated, *(() if EVALUATING.isdisjoint(names.outside) else self._words))
        self._look_up(table, [name for name in outside if name not in asked])
        asked |= dict.fromkeys(outside)
        self._left += self.libraries.look_into(function.__code__, names, function.__globals__)
        self._left += imported_by(names.imported, function.__globals__.get("__package__") or "")
        self._add_names(names.attributes)
        if self._texts is not None and not BY_TEXT.isdisjoint((*names.outside, *names.attributes)):
            texts, self._texts = self._texts, None
            self._add_names(chain.from_iterable(texts))
        if "getattr" in names.outside:  # a name may be put together
            self._add_names(name for kind in self.classes for name in vars(kind))
            self._pieces |= dict.fromkeys(names.pieces)
            self._add_names(
                [name for table in self._holders.values() for name in kinds.put_together(table, names.pieces)]
            )

    def _add_names(self, names: Iterable[str]) -> None:
        """Look for attributes of these names in all tables, also in those that will be found."""
        new = [name for name in names if name not in self._attributes]
        self._attributes |= dict.fromkeys(new)
        added = [name for name in new if kinds.is_replaced(name)]
        if added:  # by the user
            self._globals.setdefault(id(Tensor), (kinds.OF_TENSORS, {}))[1].update(dict.fromkeys(added))
            self._look_up(kinds.OF_TENSORS, added)
        for holder in list(self._holders.values()):
            self._look_up(holder, new)

    def _add_texts(self, texts: Iterable[str]) -> None:
        """Note what may be names of attributes."""
        if self._texts is None:
            self._add_names(texts)
        else:
            self._texts.append(texts)

    def _add_outer(self, module: nn.Module) -> None:
        """Add a module that is none of the cell's, with those inside of it."""
        self.outer += (one for one in module.modules() if id(one) not in self._holders)
        for one in module.modules():
            self.opened[id(one)] = one
            self._add_bases(own_bases(one))
            self._add_holder(one, vars(one))
            self._left += (value for _, value in attributes_of(one) if type(value) not in PLAIN_TYPES)

    def _add_module(self, module: ModuleType) -> None:
        if module is os:
            self._add_holder(os, {"environ": os.environ, "getenv": os.environ})
        elif is_own(module.__name__, self._users):
            self._add_holder(module, vars(module))
            self._left.append(vars(module).get("__getattr__"))

    def _add_class(self, kind: type) -> None:
        """Add a class that code names: it may make objects of it."""
        bases = [base for each in (kind, type(kind)) for base in users_bases(each, self._users)]
        unrun = UNRUN if issubclass(kind, nn.Module) else SILENT
        self._add_bases(bases, unrun, whole=issubclass(kind, torch.autograd.Function))

    def _add_bases(self, bases: Iterable[type], unrun: frozenset[str] = UNRUN, whole: bool = False) -> None:
        for base in bases:
            self._add_holder(base, vars(base))
            for name, attribute in vars(base).items():
                special = name.startswith("__") and name.endswith("__") and name not in unrun
                if whole or (special and isinstance(attribute, FunctionType)):
                    self._left.append(attribute)

    def _add_object(self, value: Any) -> None:
        """Add an object, to be read whole; by name what holds attributes alone, is large or has a lock, say."""
        kind: type = type(value)
        if isinstance(value, Iterator) and kind.__module__ in ("builtins", "itertools"):
            raise Unfrozen(f"a step may take what is next of a {kind.__name__}, which is something else each time")
        self._add_bases(users_bases(kind, self._users))
        holds_alone = is_record(kind, self._users)
        if holds_alone:
            self._records.add(id(value))
        if holds_alone or is_library(kind.__module__) or not (isinstance(value, kinds.READ_WHOLE) or is_small(value)):
            self._add_holder(value, Attributes(value))
            if not is_own(kind.__module__, self._users):  # whose code is not walked
                self._add_names(named_by(kind))
            return
        self._add_parts(value)

    def _add_parts(self, value: Any) -> None:
        """Add what is in an object, and the texts there."""
        if (simple := simple_of(value)) is not None:
            self._add_texts(simple.words)
            return
        with suppress(Unfrozen):  # who reads it is told
            parts = held_by(value, "")
            self._left += (part for part in parts if type(part) not in PLAIN_TYPES)
            self._add_texts([part for part in parts if type(part) is str and part.isidentifier()])

    def _add_holder(self, owner: Any, table: Mapping[str, Any]) -> None:
        """Add a table of attributes."""
        if id(owner) not in self._holders:
            self._holders[id(owner)] = table
            self._look_up(table, list(self._attributes))
            self._add_names(kinds.put_together(table, self._pieces))

    def _look_up(self, table: Mapping[str, Any], names: Iterable[str]) -> None:
        for name in names:
            value = table.get(name)
            value = os.environ if value is os.getenv else value
            if value is not None:
                parts = (value.__func__, value.__self__) if isinstance(value, MethodType) else (value,)
                self._named += ((name, part) for part in parts)
                self._left += (part for part in parts if type(part) not in PLAIN_TYPES)

    def _by_name(self) -> set[int]:
        """Return the ids of what is read name by name and not whole; a record is, unless something reads all of it."""
        return {*self._holders} - (self._records if COMPARING in self._attributes or self.reads_whole else set())

    @property
    def reads_whole(self) -> bool:
        """Whether something reads attributes that it does not name."""
        outside = chain.from_iterable(names for _, names in self._globals.values())
        return not WHOLE.isdisjoint((*self._attributes, *outside))
