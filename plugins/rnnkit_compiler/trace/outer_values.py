"""What the code of a step reads beside its module: class attributes, globals and closures."""

from collections.abc import Hashable, Mapping
from functools import lru_cache
from itertools import count
from operator import is_
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from rnnkit_compiler.trace.frozen import PLAIN, frozen

CONTAINERS = (list, dict, set, np.ndarray)
"""Of class attributes and globals, what may be changed in place."""

UNREAD = frozenset((type, BuiltinFunctionType, ModuleType))
"""Types of most globals that a step names, which hold no value."""

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


def reached_by(kind: type) -> list[FunctionType]:
    """List the functions whose globals and closures `outer_values` describes."""
    found: dict[FunctionType, None] = {}
    left = [*_functions(kind, tuple([version for version, *_ in map(_class, own_bases(kind))]))]
    while left:
        function = left.pop()
        found[function] = None
        called = map(function.__globals__.get, names_in(function.__code__))
        left += [f for f in called if type(f) is FunctionType and f not in found and not _is_library(f.__module__)]
    return list(found)


def _read(function: FunctionType, values: list[Hashable], seen: set[FunctionType]) -> None:
    """Add what a function reads besides its arguments, and what the functions read that it calls by their names."""
    seen.add(function)
    outside = function.__globals__
    for name in names_in(function.__code__):
        value = outside.get(name)
        if value is None:
            continue
        if type(value) is FunctionType:
            if value not in seen and not _is_library(value.__module__):
                values.append(value)
                _read(value, values, seen)
        elif type(value) not in UNREAD and isinstance(value, (*PLAIN, *CONTAINERS)):
            values.append(frozen(value, name))
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name != "__class__":
            values.append(frozen(cell.cell_contents, name))


@lru_cache(maxsize=512)
def _functions(kind: type, versions: tuple[int, ...]) -> tuple[FunctionType, ...]:
    """List what runs a step of a class, as it is in these versions."""
    functions = (getattr(kind, name, None) for name in ("step", "project", "forward"))
    return tuple(f for f in functions if isinstance(f, FunctionType) and not _is_library(f.__module__))


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
