"""The recurrence: what is the same at every call of a step's kernels."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from torch import Tensor

from rnnkit_compiler._cache import Cache
from rnnkit_compiler.backends.base.forms import Forms, InKernelsForm, Steps
from rnnkit_compiler.backends.base.runtime import Matrix, Runtime
from rnnkit_compiler.ir.lowered import Invariant
from rnnkit_compiler.schedule.layout import Layout, layout_of
from rnnkit_compiler.schedule.plan import KernelPlan
from rnnkit_compiler.schedule.sharing import Shares, step_work

MOST_FORMS = 200
"""Forms of calls that layouts and passes are kept for."""


@dataclass
class Recurrence:
    """The plan of a step, its kernels on a device, and what steps in where they may not run."""

    plan: KernelPlan
    runtime: Runtime
    fallback: Steps
    """Runs the same steps, with the same invariants, with torch's operations."""

    forms: Forms
    """Of what the step is given and gives."""

    def __post_init__(self) -> None:
        self._layouts: Cache[Layout] = Cache(MOST_FORMS)
        self.in_kernels_form: Steps = self.fallback
        """The fallback, of what is in the kernel's form."""
        if not self.forms.are_plain:
            self.in_kernels_form = InKernelsForm(self.fallback, self.forms)
        step = self.plan.step
        numbers = step.invariants
        self.invariants = len(numbers)
        """How many there are."""
        self.of_matrix = [numbers.index(matrix.number) for matrix in step.matrices]
        """Which invariant each matrix is, or is a part of."""
        self.of_vector = [numbers.index(vector.number) for vector in step.vectors]
        self.is_wide = [number in step.in_float32.constants for number in numbers]
        """Of each invariant, whether it is read in float32 in a step of low precision."""
        ahead = {hoisted.matrix for hoisted in step.hoisted}
        sizes = [prod(matrix.shape) for k, matrix in enumerate(step.matrices) if k not in ahead]
        self.work = step_work(self.plan.inference, sum(sizes), step.dtype.itemsize)
        self.given_parts = step.given_parts

    def matrices_in(self, invariants: Sequence[Tensor]) -> list[Matrix]:
        """Describe the invariant matrices (K, N); locations are elements behind the first of the invariant."""
        pairs = zip(self.of_matrix, self.plan.step.matrices, strict=True)
        return [_matrix(invariants[place].stride(), matrix) for place, matrix in pairs]

    def shares(self, steps: int, batch: int) -> Shares:
        """Choose how the workers share a call."""
        return self.runtime.shares(steps, batch, self.work)

    def product_slots(self, steps: int, batch: int) -> int:
        """Return the steps for which parts are kept, where backward reads none of them: all, if products give none."""
        return self.runtime.product_slots(steps, batch) if self.plan.step.hoisted else steps

    def layout(self, kernel: str, steps: int, batch: int) -> Layout:
        """Return where the private buffers of "Forward", "Inference" or "Backward" lie."""
        return self._layouts.get((kernel, steps, batch), lambda: layout_of(self.plan, kernel, steps, batch))


def _matrix(strides: Sequence[int], invariant: Invariant) -> Matrix:
    """Describe the invariant matrix (K, N) that a tensor of such strides is, or a part or the transpose of."""
    rows, columns = strides[-2:] if len(strides) > 1 else (0, strides[0]) if invariant.transposed else (strides[0], 0)
    if invariant.transposed:
        rows, columns = columns, rows
    depth, width = invariant.shape
    start = invariant.offset * rows + (0 if invariant.block is None else invariant.block * strides[-3])
    return Matrix(start, depth, width, rows, columns)
