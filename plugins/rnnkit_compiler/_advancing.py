"""Calls without gradients, prepared: what `Unroller.advancer` gives for a cell that runs in a kernel."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

import rnnkit
from rnnkit_compiler._program import Program
from rnnkit_compiler.backends.base.backend import Direct
from rnnkit_compiler.backends.base.runtime import Unfit
from rnnkit_compiler.trace.draws import generators_of
from rnnkit_compiler.trace.generators import remembered
from rnnkit_compiler.trace.paths import weights_at
from rnnkit_compiler.trace.unchanged import Unchanged


class Advancing(rnnkit.Advancer):
    """Runs a program's kernel.

    Args:
        cell: what is stepped.
        program: of it.
        direct: of the program's backend.
        size: T and B.
    """

    def __init__(self, cell: rnnkit.Cell, program: Program, direct: Direct, size: tuple[int, int]) -> None:
        self._cell, self._program, self._size = cell, program, size
        self._unchanged = Unchanged(cell)
        self._tensors = weights_at(cell, program.recording.weights)
        self._free = [direct]
        """Each is of one thread at a time."""

    def holds(self) -> bool:
        """Tell whether the cell is unchanged."""
        return self._unchanged()

    def __call__(self, xs: Tensor, before: Sequence[Tensor], ys: Tensor, after: Sequence[Tensor]) -> bool:
        """Run the kernel; see `rnnkit.Advancer`."""
        direct = self._borrow()
        if direct is None:
            return False
        try:
            direct.enter(before, ys, after)
            self._launch(direct, xs)
        except Unfit:
            return False
        finally:
            self._free.append(direct)
        return True

    def repeat(self, state: Sequence[Tensor]) -> Callable[[Tensor, Tensor], bool] | None:
        """Return what advances a state in place; see `rnnkit.Advancer`."""
        direct = self._borrow()
        if direct is None:
            return None
        direct.enter(state, state[0], state)
        sums = self._program.sums_of_weights()
        if sums is not None:
            made = self._program.once(0, *self._tensors, *self._program.recording.constants.values())
            of_sums = {place: [self._tensors[k] for k in pair] for place, pair in sums.items()}
            fixed = direct.fixed(made[: len(self._program.backend.invariants)], of_sums)
            if fixed is not None:
                return fixed

        return partial(self._run, direct, state)

    def _run(self, direct: Direct, state: Sequence[Tensor], xs: Tensor, ys: Tensor) -> bool:
        """Advance a state in place."""
        try:
            direct.enter(state, ys, state)
            xs = xs.view(*self._size, self._cell.input_size)
            with torch.no_grad():
                self._launch(direct, xs)
        except Unfit:
            return False
        return True

    def _launch(self, direct: Direct, xs: Tensor) -> None:
        """Run the kernel; raises Unfit, and then nothing has been drawn."""
        draws = self._program.recording.draws
        put_back = remembered(generators_of(draws, xs.device)) if draws else None
        given = rnnkit.parts_of(self._program.project(self._cell, xs))
        parts, invariants = self._program.inputs(given, xs.shape[:2], self._tensors)
        try:
            direct.run(parts, invariants)
        except Unfit:
            if put_back is not None:
                put_back()
            raise

    def _borrow(self) -> Direct | None:
        try:
            return self._free.pop()
        except IndexError:  # another thread has it
            return self._program.backend.direct(*self._size)
