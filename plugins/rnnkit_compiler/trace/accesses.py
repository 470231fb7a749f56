"""Accesses: what code reads and writes of the attributes of modules, in which order, noted by their classes."""

import sys
from types import FrameType
from typing import Any

from torch import nn

from rnnkit import Cell

OF_TORCH = {(nn.modules.module.__name__, name) for name in ("__setattr__", "__getattr__", "register_buffer")}
"""Code that looks into the tables of a module for the sake of the one name that is set or asked for."""

TABLES = ("__dict__", "_buffers")
"""In which all names are."""

OPENING = ("__reduce_ex__", "__reduce__", "__getstate__", "__dir__")
"""Special methods by which others see all that an object holds."""

Place = tuple[int, str]
"""A module, by its id, and the name of an attribute."""

_MISSING = object()


class Accesses:
    """Notes what is done with the modules of a cell from now on.

    Args:
        cell: a copy, which is of no other use: the classes of its modules are replaced.

    Raises:
        TypeError: a class is told of those that are derived from it, or cannot be replaced.
    """

    def __init__(self, cell: nn.Module) -> None:
        self._read: set[Place] = set()
        self._written: set[Place] = set()
        for module in cell.modules():
            module.__class__ = _noting(type(module), self)

    def is_written_first(self, module: nn.Module, name: str) -> bool:
        """Tell whether an attribute was set, is what it was set to, and was neither read nor looked for before that."""
        return (id(module), name) in self._written and not self.is_read(module, name)

    def is_read(self, module: nn.Module, name: str) -> bool:
        """Tell whether an attribute was read or looked for that was not set before."""
        return not self._read.isdisjoint((id(module), one) for one in (name, *TABLES))

    def is_touched(self, module: nn.Module, name: str) -> bool:
        """Tell whether an attribute was read, looked for or set."""
        return self.is_read(module, name) or (id(module), name) in self._written

    def forget(self) -> None:
        """Note from now on as if nothing had been read or set."""
        self._read.clear()
        self._written.clear()

    def note_read(self, module: nn.Module, name: str, caller: FrameType) -> None:
        """Note that some code asks for an attribute, or takes it away."""
        if (caller.f_globals.get("__name__"), caller.f_code.co_name) in OF_TORCH:
            if caller.f_code.co_name != "__getattr__":
                return
            name = caller.f_locals["name"]  # which code may ask for by this very method
        if (id(module), name) not in self._written:
            self._read.add((id(module), name))

    def note_written(self, module: nn.Module, name: str, value: object) -> None:
        """Note that an attribute was set."""
        own = object.__getattribute__(module, "__dict__")
        if any(table.get(name, _MISSING) is value for table in (own, own["_buffers"])):
            self._written.add((id(module), name))


def _noting(kind: Any, accesses: Accesses) -> type:
    """Return a class that does what another does, and notes it."""
    tells = next(base for base in kind.__mro__ if "__init_subclass__" in vars(base))
    if tells is not object and tells is not Cell:
        raise TypeError(f"{tells.__name__} is told of classes that are derived from it")

    def get(self: Any, name: str) -> Any:
        accesses.note_read(self, name, sys._getframe(1))
        return kind if name == "__class__" else kind.__getattribute__(self, name)

    def put(self: Any, name: str, value: Any) -> None:
        kind.__setattr__(self, name, value)
        accesses.note_written(self, name, value)

    def remove(self: Any, name: str) -> None:
        accesses.note_read(self, name, sys._getframe(1))
        kind.__delattr__(self, name)

    def opening(method: str) -> Any:
        def opened(self: Any, *arguments: Any) -> Any:
            accesses.note_read(self, TABLES[0], sys._getframe(1))
            return getattr(kind, method)(self, *arguments)

        return opened

    own = {"__getattribute__": get, "__setattr__": put, "__delattr__": remove, "__slots__": ()}
    own |= {method: opening(method) for method in OPENING if hasattr(kind, method)}
    own |= {"name": kind.name} if issubclass(kind, Cell) else {}
    own |= {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    derived: type = type(kind)(kind.__name__, (kind,), own)
    return derived
