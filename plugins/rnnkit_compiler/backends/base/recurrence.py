"""The recurrence: what is the same at every call of a step's kernels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from torch import Tensor

from rnnkit_compiler.backends.base.forms import Forms, InKernelsForm, Steps
from rnnkit_compiler.backends.base.runtime import Matrix, Runtime
from rnnkit_compiler.ir.lowered import Invariant
from rnnkit_compiler.schedule.layout import Layout, layout_of
from rnnkit_compiler.schedule.plan import KernelPlan
from rnnkit_compiler.schedule.sharing import Shares, step_work

MOST_LAYOUTS = 200
"""Layouts that are kept, one for each kernel and size of a call."""


@dataclass
class Recurrence:
    """The plan of a step, its kernels on a device, and what steps in where they may not run."""

    plan: KernelPlan
    runtime: Runtime
    fallback: Steps
    """Runs the same steps, with the same invariants, with torch's operations."""

    forms: Forms
    """Of what the step is given and gives."""

    layouts: dict[tuple[str, int, int], Layout] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.in_kernels_form: Steps = self.fallback
        """The fallback, of what is in the kernel's form."""
        if not self.forms.are_plain:
            self.in_kernels_form = InKernelsForm(self.fallback, self.forms)
        step = self.plan.step
        numbers = step.invariants
        self.of_matrix = [numbers.index(matrix.number) for matrix in step.matrices]
        """Which invariant each matrix is, or is a part of."""
        self.of_vector = [numbers.index(vector.number) for vector in step.vectors]
        ahead = {hoisted.matrix for hoisted in step.hoisted}
        sizes = [prod(matrix.shape) for k, matrix in enumerate(step.matrices) if k not in ahead]
        self.work = step_work(self.plan.inference, sum(sizes), step.dtype.itemsize)
        self.given_parts = len(step.part_widths) - len(step.hoisted)
        """How many parts come from outside; the others are products of these."""

    def invariant_matrices(self, invariants: Sequence[Tensor]) -> list[Matrix]:
        """Describe the invariant matrices (K, N); raises Unfit if a kernel may not touch one."""
        pairs = zip(self.of_matrix, self.plan.step.matrices, strict=True)
        return [_matrix(self.runtime, invariants[place], matrix) for place, matrix in pairs]

    def shares(self, steps: int, batch: int) -> Shares:
        """Choose how the workers share a call."""
        return self.runtime.shares(steps, batch, self.work)

    def layout(self, kernel: str, steps: int, batch: int) -> Layout:
        """Return where the private buffers of "Forward", "Inference" or "Backward" lie."""
        key = (kernel, steps, batch)
        known = self.layouts.get(key)
        if known is None:
            if len(self.layouts) > MOST_LAYOUTS:
                self.layouts.clear()
            known = self.layouts[key] = layout_of(self.plan, kernel, steps, batch)
        return known


def _matrix(runtime: Runtime, tensor: Tensor, invariant: Invariant) -> Matrix:
    """Describe the invariant matrix (K, N) that a tensor is, or a part or the transpose of."""
    strides = tensor.stride()
    rows, columns = strides[-2:] if len(strides) > 1 else (0, strides[0]) if invariant.transposed else (strides[0], 0)
    if invariant.transposed:
        rows, columns = columns, rows
    depth, width = invariant.shape
    location = runtime.location_of(tensor)
    if invariant.block is not None:
        location = runtime.shifted(location, invariant.block * strides[-3])
    if invariant.offset:
        location = runtime.shifted(location, invariant.offset * rows)
    return Matrix(location, depth, width, rows, columns)
