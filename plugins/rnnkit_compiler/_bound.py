"""Calls of a cell that is as it was: what `Unroller.bound` gives for a cell that runs in kernels."""

from collections.abc import Sequence

from torch import Tensor

import rnnkit
from rnnkit_compiler._drawing import draws_alike
from rnnkit_compiler._program import Program
from rnnkit_compiler.backends.base.backend import Lasting, Tensors, Timeline
from rnnkit_compiler.backends.cpp.thread_pool import mind_forks
from rnnkit_compiler.trace.paths import weights_at
from rnnkit_compiler.trace.unchanged import Unchanged


class BoundProgram(rnnkit.Bound):
    """Runs a program.

    Args:
        cell: what is stepped.
        program: of it.
    """

    def __init__(self, cell: rnnkit.Cell, program: Program) -> None:
        self._cell, self._program = cell, program
        self._unchanged = Unchanged(cell)
        self._weights = weights_at(cell, program.recording.weights)
        known = dict(zip(program.recording.weights.values(), self._weights, strict=True))
        invariants = enumerate(program.backend.invariants)
        fixed = {place: known[number] for place, number in invariants if number in known}
        self._run = program.backend.lasting(Lasting(fixed, {})) or program.backend.run
        self._invariants: Sequence[Tensor] | None = None
        """Where a call brings weights alone: all of them, those last that are added to others."""
        self._bring_weights(fixed)

    def _bring_weights(self, fixed: dict[int, Tensor]) -> None:
        """Let calls bring weights alone, if nothing else is computed of them than sums of two vectors."""
        sums = self._program.sums_of_weights()
        if sums is None or list(self._program.recording.parts) != self._program.split.parts:
            return
        firsts = {place: self._weights[first] for place, (first, _) in sums.items()}
        added = {place: self._weights[second] for place, (_, second) in sums.items()}
        if any(one.shape != added[place].shape or one.dtype != added[place].dtype for place, one in firsts.items()):
            return
        run = self._program.backend.lasting(Lasting(fixed, added))
        if run is not None:
            places = fixed | firsts
            self._run, self._invariants = run, (*(places[k] for k in sorted(places)), *added.values())

    def holds(self) -> bool:
        """Tell whether the cell is unchanged."""
        return self._unchanged()

    def __call__(self, xs: Tensor, state: rnnkit.State) -> tuple[Tensor, rnnkit.State] | None:
        """Unroll the cell; see `rnnkit.Bound`."""
        return self._unroll(xs, state, (), Timeline(xs.shape[0], xs.shape[1], None, None, None))

    def masked(self, prepared: rnnkit.Prepared) -> tuple[Tensor, rnnkit.State] | None:
        """Unroll the cell where rows end or start again; see `rnnkit.Bound`."""
        xs, state, masks = prepared
        return self._unroll(xs, state, masks.initial, Timeline.of(xs, masks))

    def _unroll(
        self, xs: Tensor, state: rnnkit.State, initial: rnnkit.State, timeline: Timeline
    ) -> tuple[Tensor, rnnkit.State] | None:
        if not draws_alike(self._program, xs, (*state, *initial)):
            return None
        mind_forks()
        parts = rnnkit.parts_of(self._program.project(self._cell, xs))
        if self._invariants is not None:
            tensors = Tensors(parts, state, initial, self._invariants)
        else:
            read, invariants = self._program.inputs(parts, xs.shape[:2], self._weights)
            tensors = Tensors(read, state, initial, invariants)
        return self._program.as_learned(self._run(tensors, timeline), parts, state, initial, timeline)
