"""Repetition: a cell that is recorded over and over, since something that it holds changes with every call."""

import logging
from collections.abc import Hashable
from weakref import WeakKeyDictionary, WeakSet

from torch import Tensor

from rnnkit import Cell
from rnnkit_compiler._cache import Cache
from rnnkit_compiler.trace.fingerprint import Fingerprint, changed_attribute, changed_numbers

logger = logging.getLogger("rnnkit")

PATIENCE = 32
"""Recordings of cells that differ in attributes alone before that is said: more than most models have layers."""

ANNEALED = 2
"""Recordings for the sake of numbers that changed before they are taken for annealed."""

FORMS = 128
"""Classes and sizes of cells that are counted."""


class Repetition:
    """How often cells of one class and of the same sizes were recorded because of an attribute."""

    def __init__(self) -> None:
        self.count = 0
        self.last: Hashable = None
        self.numbers: tuple[str, ...] = ()
        """The attributes that made the last recording necessary, if these are floats."""

    def add(self, key: Hashable) -> str:
        """Count a recording; return the attribute that made it necessary, "" if none did."""
        changed = changed_attribute(self.last, key)
        self.numbers = changed_numbers(self.last, key)
        self.last = key
        self.count += bool(changed)
        return changed


_known: Cache[Repetition] = Cache(FORMS)
_said: "WeakSet[type[Cell]]" = WeakSet()

_annealed: "WeakKeyDictionary[type[Cell], dict[str, None]]" = WeakKeyDictionary()


def annealed(kind: type[Cell]) -> tuple[str, ...]:
    """Name the floats that have changed again and again, by their paths in cells of a class."""
    return tuple(_annealed.get(kind, ()))


def note(cell: Cell, fingerprint: Fingerprint, xs: Tensor) -> None:
    """Count a recording of a cell, and say once of its class that a value is to be a buffer, if there are too many."""
    kind = type(cell)
    sizes = tuple((tensor.shape, tensor.dtype, tensor.requires_grad) for tensor in fingerprint.tensors)
    repetition = _known.get((id(kind), sizes, xs.shape[2], xs.dtype, xs.device), Repetition, kind)
    changed = repetition.add(fingerprint.key)
    if repetition.numbers and repetition.count >= ANNEALED:
        _annealed.setdefault(kind, {}).update(dict.fromkeys(repetition.numbers))
    if changed and repetition.count >= PATIENCE and kind not in _said:
        _said.add(kind)
        logger.warning(
            "cell %r was recorded %d times at the same sizes, because its %s kept changing; what changes from "
            "call to call should be a buffer, whose numbers are read at each call",
            cell.name,
            repetition.count + 1,
            changed,
        )
