"""Putting back what a trial of a cell writes into what it shares with others: containers, objects, classes, globals."""

from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import is_
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from rnnkit_compiler.trace.attributes import dictionary_of, slots_of
from rnnkit_compiler.trace.fingerprint import Fingerprint
from rnnkit_compiler.trace.foreign_generators import generators_in, set_state, state_of, written
from rnnkit_compiler.trace.frozen import FIXED
from rnnkit_compiler.trace.generators import remembered
from rnnkit_compiler.trace.kinds import cells
from rnnkit_compiler.trace.owners import is_library

MISSING = object()

PutBack = Callable[[], None]
"""Has something be as it was, if it is not."""


@contextmanager
def put_back(cell: nn.Module) -> Iterator[Fingerprint]:
    """Have all that a cell reaches hold what it did before, whatever is run meanwhile; gives what was looked at.

    Its own attributes are left, but for those of modules that it holds in a list, say, as well.
    """
    found = Fingerprint(cell)
    if (reach := found.reach) is None:  # it may read anything, and nothing of it will be kept
        yield found
        return
    own = {*map(id, cell.modules())}.difference(map(id, found.again))
    beside = [value for key, value in reach.opened.items() if key not in own]
    restoring = [one for value in (*beside, *reach.classes) for one in _of_value(value)]
    restoring += map(_of_generator, generators_in(beside))
    restoring += [_of_names(table, names) for table, names in reach.lookups if type(table) is dict]
    try:
        yield found
    finally:
        for restore in restoring:
            restore()


def _of_value(value: Any) -> Iterator[PutBack]:
    """Give what puts back the contents of a value that is no module of the cell's, and its attributes."""
    if isinstance(value, list | deque):
        yield _of_row(value)
    elif isinstance(value, dict):
        yield _of_table(value)
    elif isinstance(value, set):
        yield _of_set(value)
    elif isinstance(value, array | bytearray | np.ndarray):
        yield _of_numbers(value)
    elif isinstance(value, torch.Generator):
        yield remembered([value])
    if isinstance(value, FunctionType):
        yield _of_table(vars(value))
        yield from (_of_attribute(cell, "cell_contents") for _, cell in cells(value))
    elif isinstance(value, type):
        if not is_library(value.__module__):
            yield _of_class(value)
    elif isinstance(value, ModuleType | nn.Module) or not isinstance(value, FIXED):
        own = None if isinstance(value, ModuleType) else dictionary_of(value)
        yield from () if own is None or own is value else (_of_table(own),)
        if isinstance(value, nn.Module):
            yield from (_of_table(table) for table in (value._parameters, value._buffers, value._modules))
        yield from (_of_attribute(value, name) for name in slots_of(type(value)))


def _of_row(row: Any) -> PutBack:
    before = [*row]

    def restore() -> None:
        if not _are(row, before):
            row.clear()
            row.extend(before)

    return restore


def _of_table(table: dict[Any, Any]) -> PutBack:
    before = dict(table)
    kind: Any = OrderedDict if isinstance(table, OrderedDict) else dict  # whose order is kept beside what dict sees

    def restore() -> None:
        if not (_are(table, [*before]) and _are(table.values(), [*before.values()])):
            kind.clear(table)
            for key, value in before.items():
                kind.__setitem__(table, key, value)

    return restore


def _of_set(held: set[Any]) -> PutBack:
    before = held.copy()

    def restore() -> None:
        if held != before:
            held.clear()
            held.update(before)

    return restore


def _of_numbers(numbers: Any) -> PutBack:
    before = numbers[:] if isinstance(numbers, array | bytearray) else numbers.copy()

    def restore() -> None:
        if bytes(numbers) != bytes(before):
            numbers[...] = before  # an array of NumPy's, of any shape

    def restore_row() -> None:
        if numbers != before:
            numbers[:] = before

    return restore if isinstance(numbers, np.ndarray) else restore_row


def _of_generator(generator: Any) -> PutBack:
    before = state_of(generator)

    def restore() -> None:
        if written(state_of(generator)) != written(before):
            set_state(generator, before)

    return restore


def _of_class(kind: type) -> PutBack:
    before = dict(vars(kind))

    def restore() -> None:
        for name in [name for name in vars(kind) if name not in before]:
            delattr(kind, name)
        for name, value in before.items():
            if vars(kind).get(name, MISSING) is not value:
                setattr(kind, name, value)

    return restore


def _of_names(table: dict[str, Any], names: Iterable[str]) -> PutBack:
    """Return what puts back some of the names in a table, of which other threads may write the others."""
    before = {name: table.get(name, MISSING) for name in names}

    def restore() -> None:
        for name, value in before.items():
            if value is MISSING:
                table.pop(name, None)
            elif table.get(name, MISSING) is not value:
                table[name] = value

    return restore


def _of_attribute(owner: Any, name: str) -> PutBack:
    before = getattr(owner, name, MISSING)

    def restore() -> None:
        if getattr(owner, name, MISSING) is before:
            return
        if before is MISSING:
            object.__delattr__(owner, name)
        else:
            object.__setattr__(owner, name, before)

    return restore


def _are(values: Any, known: list[Any]) -> bool:
    found = [*values]
    return len(found) == len(known) and all(map(is_, found, known))
