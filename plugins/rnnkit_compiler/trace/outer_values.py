"""What the code of a step reads beside its module: class attributes, globals and closures."""

import sys
from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from functools import lru_cache, partial
from itertools import count
from operator import is_
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from rnnkit_compiler.trace.frozen import PLAIN, frozen

CONTAINERS = (list, dict, set, deque, np.ndarray)
"""Of class attributes and globals, what may be changed in place."""

UNREAD = frozenset((type, BuiltinFunctionType, ModuleType))
"""Types of most globals that a step names, which hold no value."""

NESTED = 3
"""Objects within each other that are looked into."""

HELD = (*PLAIN, *CONTAINERS, FunctionType, BuiltinFunctionType)
"""Types of globals that are looked at whole, or not at all."""

_versions = count()
_classes: "WeakKeyDictionary[type, _Known]" = WeakKeyDictionary()


class _Known:
    """The attributes of a class as they were last seen, with a number of their own."""

    def __init__(self, kind: type) -> None:
        self.values, self.version = tuple(vars(kind).values()), next(_versions)
        self.containers = {n: v for n, v in containers_in(vars(kind)).items() if not n.startswith("__")}


def containers_in(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may be changed in place, of attributes or globals by name."""
    return {name: value for name, value in values.items() if isinstance(value, CONTAINERS)}


def outer_values(kind: type) -> Hashable:
    """Describe what the code of a step reads beside the module."""
    classes = tuple([_class(base) for base in own_bases(kind)])
    if not classes:
        return kind  # torch's or rnnkit's own, whose code is as it is
    values: list[Hashable] = [classes]
    seen: set[FunctionType] = set()
    for function in _functions(kind, tuple([version for version, *_ in classes])):
        _read(function, values, seen)
    return tuple(values)


def values_of(value: Any) -> Hashable:
    """Describe what the code behind a value reads besides its arguments, such as of one that a module holds."""
    values: list[Hashable] = []
    seen: set[FunctionType] = set()
    for function in functions_behind(value):
        _read(function, values, seen)
    return tuple(values)


def reached_by(module: nn.Module) -> list[FunctionType]:
    """List the functions whose globals and closures `outer_values` and `values_of` describe."""
    found: dict[FunctionType, None] = {}
    kind: type = type(module)
    left = [*_functions(kind, tuple([version for version, *_ in map(_class, own_bases(kind))]))]
    left += [f for value in vars(module).values() for f in functions_behind(value)]
    while left:
        function = left.pop()
        found[function] = None
        left += [f for _, value in _seen_by(function) for f in functions_behind(value) if f not in found]
    return list(found)


def _read(function: FunctionType, values: list[Hashable], seen: set[FunctionType]) -> None:
    """Add what a function reads besides its arguments, and what the functions read that it calls by their names."""
    seen.add(function)
    if function.__defaults__ or function.__kwdefaults__:
        values.append(frozen((function.__defaults__, function.__kwdefaults__), function.__name__))
    for name, value in _seen_by(function):
        if type(value) not in UNREAD and isinstance(value, (*PLAIN, *CONTAINERS, partial)):
            values.append(frozen(value, name))
        for inner in functions_behind(value):
            if inner not in seen:
                values.append(inner)
                _read(inner, values, seen)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name != "__class__":
            values.append(frozen(cell.cell_contents, name))


def _seen_by(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Give what a function names in the tables that it reads, and what it closes over."""
    names = (*names_in(function.__code__), "__call__")
    for table in tables_of(function):
        yield from ((name, value) for name in names if (value := table.get(name)) is not None)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    yield from ((name, cell.cell_contents) for name, cell in cells if name != "__class__")


def functions_behind(value: Any, depth: int = 3) -> list[FunctionType]:
    """List the code of the user's that runs when a value is called or applied, or one of what a container holds.

    Of a `torch.autograd.Function`, or its `apply`, that is its forward and backward.
    """
    kind = type(value)
    if kind is FunctionType:
        return [] if _is_library(value.__module__) else [value]
    if kind in (property, staticmethod, classmethod):
        return _functions_of(value)
    if (kind in UNREAD and kind is not type) or isinstance(value, PLAIN) or not depth:
        return []
    if isinstance(value, MethodType):
        return [f for part in (value.__func__, value.__self__) for f in functions_behind(part, depth - 1)]
    if isinstance(value, partial):
        return [f for part in (value.func, *value.args) for f in functions_behind(part, depth - 1)]
    if isinstance(value, list | tuple | dict):
        parts = value.values() if isinstance(value, dict) else value
        return [f for part in parts for f in functions_behind(part, depth - 1)]
    if isinstance(value, type) and issubclass(value, torch.autograd.Function) and not _is_library(value.__module__):
        return [f for base in own_bases(value) for attribute in vars(base).values() for f in _functions_of(attribute)]
    calls = (vars(base).get("__call__") for base in kind.__mro__)
    return [f for call in calls if type(call) is FunctionType for f in functions_behind(call)]


def tables_of(function: FunctionType) -> list[Mapping[str, Any]]:
    """List where a function finds what it names: its globals, and what modules, classes and objects among them hold.

    And what these hold in turn, as `CFG.model.gain` does.
    """
    names = names_in(function.__code__)
    seen: set[int] = set()
    tables: list[Mapping[str, Any]] = [function.__globals__]
    newest = tables[:]
    for _ in range(NESTED):
        named = (table.get(name) for table in newest for name in names)
        held = {id(value): value for value in named if value is not None and not isinstance(value, HELD)}
        newest = [t for key, value in held.items() if key not in seen for t in _tables_within(value, function)]
        seen |= held.keys()
        tables += newest
    return tables


def _tables_within(value: Any, function: FunctionType) -> list[Mapping[str, Any]]:
    """List what a module, class or object of the function's author holds; of an object, with what its class has."""
    user = function.__module__
    if isinstance(value, ModuleType):
        return [vars(value)] if _is_own(value.__name__, user) else []
    kind = value if isinstance(value, type) else type(value)
    classes: list[Mapping[str, Any]] = [vars(base) for base in kind.__mro__ if _is_own(base.__module__, user)]
    if kind is value or not (classes or isinstance(value, SimpleNamespace)):
        return classes
    held: Mapping[str, Any] = object.__getattribute__(value, "__dict__") if kind.__dictoffset__ else {}
    return [held, _Slots(value), *classes]


class _Slots(Mapping[str, Any]):
    """What an object holds in slots."""

    def __init__(self, held: object) -> None:
        self._held = held
        slots = (vars(base).get("__slots__", ()) for base in type(held).__mro__)
        self._names = frozenset(n for some in slots for n in ((some,) if isinstance(some, str) else some))

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return getattr(self._held, name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@lru_cache(maxsize=512)
def _is_own(module: str | None, user: str | None) -> bool:
    """Tell whether a module is its user's: of the same package, or not installed."""
    if _package(module) == _package(user):
        return not _is_library(module)
    return not _is_installed(_package(module))


def _package(module: str | None) -> str:
    return (module or "").partition(".")[0]


def _is_installed(package: str) -> bool:
    """Tell whether a package is Python's or an installed one, whose values are as they are."""
    if package in sys.stdlib_module_names:
        return True
    place = Path(getattr(sys.modules.get(package), "__file__", None) or "")
    return not {"site-packages", "dist-packages"}.isdisjoint(place.parts)


@lru_cache(maxsize=512)
def _functions(kind: type, versions: tuple[int, ...]) -> tuple[FunctionType, ...]:
    """List what runs a step of a class, as it is in these versions: with the methods that it names, of bases too."""
    functions: dict[FunctionType, None] = {}
    names = dict.fromkeys(("step", "project", "forward"))
    left = [*names]
    while left:
        name = left.pop()
        for function in (f for base in own_bases(kind) for f in _functions_of(vars(base).get(name))):
            functions[function] = None
            new = [other for other in names_in(function.__code__) if other not in names]
            names |= dict.fromkeys(new)
            left += new
    return tuple(functions)


def _functions_of(attribute: Any) -> list[FunctionType]:
    """Return the functions of a method, or of what computes an attribute."""
    if isinstance(attribute, staticmethod | classmethod):
        attribute = attribute.__func__
    found = (attribute, *(getattr(attribute, name, None) for name in ("fget", "func")))
    return [function for function in found if type(function) is FunctionType]


@lru_cache(maxsize=512)
def own_bases(kind: type) -> tuple[type, ...]:
    """List a class and those that it is derived from, but for torch's and rnnkit's own."""
    return tuple(base for base in kind.__mro__ if base is not object and not _is_library(base.__module__))


@lru_cache(maxsize=512)
def _is_library(module: str | None) -> bool:
    return (module or "").split(".")[0] in ("torch", "rnnkit")


def _class(kind: type) -> tuple[Any, ...]:
    """Number the attributes of a class, anew when one is exchanged; of containers, what is in them."""
    known, values = _classes.get(kind), vars(kind).values()
    if known is None or len(known.values) != len(values) or not all(map(is_, known.values, values)):
        known = _classes[kind] = _Known(kind)
    return (known.version, *(frozen(value, f"{kind.__name__}.{name}") for name, value in known.containers.items()))


@lru_cache(maxsize=512)
def names_in(code: CodeType) -> tuple[str, ...]:
    """List the names in a code, and in the functions and comprehensions inside of it."""
    inner = (name for constant in code.co_consts if isinstance(constant, CodeType) for name in names_in(constant))
    return tuple(dict.fromkeys((*code.co_names, *inner)))
