"""Calls of a cell that is as it was: what `Unroller.bound` gives for a cell that runs in kernels."""

from torch import Tensor

import rnnkit
from rnnkit_compiler._program import Program
from rnnkit_compiler.backends.base.backend import Tensors, Timeline
from rnnkit_compiler.backends.cpp.thread_pool import mind_forks
from rnnkit_compiler.trace.paths import tensor_at
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
        self._weights = [tensor_at(cell, path) for path in program.recording.weights]
        known = dict(zip(program.recording.weights.values(), self._weights, strict=True))
        places = enumerate(program.backend.invariants)
        self._run = program.backend.with_fixed({place: known[number] for place, number in places if number in known})

    def holds(self) -> bool:
        """Tell whether the cell is unchanged."""
        return self._unchanged()

    def __call__(self, xs: Tensor, state: rnnkit.State) -> tuple[Tensor, rnnkit.State]:
        """Unroll the cell; see `rnnkit.Bound`."""
        mind_forks()
        timeline = Timeline(xs.shape[0], xs.shape[1], None, None, None)
        parts, invariants = self._program.inputs(self._cell, xs, self._weights)
        return self._run(Tensors(parts, state, (), invariants), timeline)
