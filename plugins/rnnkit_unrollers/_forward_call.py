"""One call of `rtrl`: its cell, how its influences are held, and the stretches that its sequence is taken in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

import rnnkit
from rnnkit import Cell, Masks, State
from rnnkit_compiler.structure.owners import NOBODY
from rnnkit_unrollers._influence import Layout

STEPS = 64
"""Of a stretch, at most: what is held does not grow with the sequence."""

STRETCHES = 2
"""Of a sequence, at least, so that short ones have influences too."""

ROOM = 1 << 22
"""Numbers of a stretch's Jacobians, at most, unless a single step has more."""


@dataclass
class Call:
    """One call of the unroller, shared by its passes."""

    cell: Cell
    masks: Masks
    layout: Layout
    units: Sequence[Tensor | None]
    """As each weight: the unit that each number of each weight acts on, NOBODY or SEVERAL; None: that is not known."""

    places: Mapping[str, int]
    """Where each parameter and buffer stands among the weights."""

    count: int
    """Tensors of the state."""

    steps: int | None
    """Of each stretch, at most; None: see `stretches`."""

    def inputs(self, tensors: Sequence[Tensor]) -> tuple[Tensor, State, State, tuple[Tensor, ...]]:
        """Take the Function's tensors apart: input, state, initial state for resets, weights."""
        xs, *rest = tensors
        n, m = self.count, self.count + len(self.masks.initial)
        return xs, tuple(rest[:n]), tuple(rest[n:m]), tuple(rest[m:])

    def acts(self, k: int) -> bool:
        """Tell whether a weight acts on the state at all, and not on the output alone."""
        unit = self.units[k]
        return unit is None or bool((unit != NOBODY).any())

    def equipped(self, weights: Sequence[Tensor]) -> Cell:
        """Return a copy of the cell that uses these weights."""
        return rnnkit.copy_with_tensors(self.cell, {name: weights[place] for name, place in self.places.items()})

    def stretches(self, time: int, rows: int) -> list[tuple[int, int]]:
        """Return the first and last steps (exclusive) of each stretch."""
        most = self.steps or min(STEPS, max(1, time // STRETCHES))
        size = max(1, min(most, ROOM // max(1, rows * self.layout.height * self.layout.width)))
        return [(start, min(start + size, time)) for start in range(0, time, size)]
