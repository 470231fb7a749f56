"""A run of a kernel over all steps: its tensors, and their addresses."""

from collections.abc import Sequence
from math import prod

from torch import Tensor

from rnnkit_compiler.backends.base.backend import Sequences
from rnnkit_compiler.backends.base.recurrence import Unrolling
from rnnkit_compiler.backends.cpp.boundary import address_of
from rnnkit_compiler.backends.cpp.kernel import Shares
from rnnkit_compiler.backends.cpp.thread_pool import threads
from rnnkit_compiler.backends.cpp.whole_products import Matrix, Multiply, multiply_into
from rnnkit_compiler.backends.cpp.workspace import shared
from rnnkit_compiler.ir.lowering import Hoisted, Invariant
from rnnkit_compiler.schedule.layout import Layout

ROWS_ALONE = 1 << 20
"""Bytes of weights up to which every thread may read all of them: they stay in its second cache."""

UNITS_PAY = 1 << 15
"""Bytes of weights from which on threads that share the units of few rows win more than their barrier costs."""


class Pass:
    """The tensors of one run of a kernel, and their addresses."""

    def __init__(self, unrolling: Unrolling, sequences: Sequences, tensors: Sequence[Tensor]) -> None:
        self.unrolling, self.sequences = unrolling, sequences
        self.plan, self.step = unrolling.plan, unrolling.plan.step
        self.steps, self.batch = sequences.steps, sequences.batch
        self.dtype = unrolling.kernel.dtype
        parts, states = unrolling.given_parts, len(self.step.state_widths)
        self.parts = tensors[:parts]
        self.states = tensors[parts : parts + states]
        first = parts + states + (states if sequences.reset is not None else 0)
        self.initial = tensors[parts + states : first]
        self.invariants = tensors[first:]
        self.shares = shares(self.batch, unrolling.weight_bytes)
        self.addresses: dict[str, int] = {}
        self.matrices = [
            _matrix(self.invariants[place], invariant, self.dtype.itemsize)
            for place, invariant in zip(unrolling.of_matrix, self.step.matrices, strict=True)
        ]
        """The invariant matrices (K, N)."""
        self._products: list[Multiply] = []
        self._held: list[Tensor] = []

    def take(self, *shape: int, exact: bool = False) -> Tensor:
        """Return a tensor of the run's dtype on recycled memory, of no more than it if `exact`."""
        return shared.take(shape, self.dtype, exact)

    def admit(self, name: str, tensor: Tensor) -> Tensor:
        """Let the kernel have a tensor from outside under a name, and return it: contiguous, in the run's dtype.

        Raises:
            Unfit: a kernel may not touch it.
        """
        if tensor.dtype != self.dtype or not tensor.is_contiguous():
            tensor = tensor.to(self.dtype).contiguous()
        self._held.append(tensor)
        self.addresses[name] = address_of(tensor)
        return tensor

    def enter(self, name: str, tensor: Tensor) -> Tensor:
        """Let the kernel have a tensor that was made for it, contiguous and in the run's dtype, under a name."""
        self._held.append(tensor)
        self.addresses[name] = tensor.data_ptr()
        return tensor

    def enter_memory(self, memory: Tensor, layout: Layout) -> None:
        """Let the kernel have all buffers of a layout."""
        base = address_of(memory)
        for name, offset in layout.offsets.items():
            self.addresses[name] = base + offset

    def enter_vectors(self) -> None:
        """Let the kernel have the invariant vectors."""
        for k, (place, vector) in enumerate(zip(self.unrolling.of_vector, self.step.vectors, strict=True)):
            tensor = self.invariants[place]
            self.admit(f"vector{k}", tensor if tensor.numel() == prod(vector.shape) else tensor.expand(vector.shape))

    def rows(self, name: str, width: int) -> Matrix:
        """Describe a buffer with a slice for each step as a matrix: (T * B, width)."""
        return Matrix(self.addresses[name], self.steps * self.batch, width, width, 1)

    def piece(self, hoisted: Hoisted) -> Matrix:
        """Describe what a product of the input alone multiplies: (T * B, K)."""
        address = self.addresses[f"part{hoisted.part}"] + hoisted.offset * self.dtype.itemsize
        stride = self.step.part_widths[hoisted.part]
        return Matrix(address, self.steps * self.batch, hoisted.width, stride, 1)

    def multiply(
        self,
        shape: Sequence[int],
        a: Matrix,
        b: Matrix,
        bias: int | None = None,
        row_sums: int | None = None,
    ) -> Tensor:
        """Have a product of whole matrices done with the launch; see `multiply_into`. Gives its result, of `shape`."""
        result = self.take(*shape)
        self._held.append(result)
        self._products.append(multiply_into(result, a, b, bias, row_sums))
        return result

    def may_overlay(self, alone: bool) -> bool:
        """Tell whether buffers may lie over each other, for which threads may have to have whole rows."""
        return self.shares.units == 1 or not alone

    def launch(self, name: str, slots: int, y_apart: bool) -> None:
        """Run a function of the kernel; the whole products before a way forward, and behind a way back."""
        kernel, products = self.unrolling.kernel, self._products
        before, after = ([], products) if name == "Backward" else (products, [])
        kernel.run(name, self.sequences, self.addresses, self.matrices, self.shares, slots, y_apart, before, after)


def _matrix(tensor: Tensor, invariant: Invariant, size: int) -> Matrix:
    """Describe the invariant matrix (K, N) that a tensor is, or a part or the transpose of."""
    strides = tensor.stride()
    rows, columns = strides[-2:] if len(strides) > 1 else (0, strides[0]) if invariant.turned else (strides[0], 0)
    if invariant.turned:
        rows, columns = columns, rows
    depth, width = invariant.shape
    return Matrix(address_of(tensor) + invariant.offset * rows * size, depth, width, rows, columns)


def shares(batch: int, weight_bytes: int) -> Shares:
    """Choose how the threads share the work.

    Rows need no barrier, but then every thread reads all weights; with few rows, or weights beyond the second cache,
    the units are shared.
    """
    count = threads()
    if count == 1:
        return Shares(1, 1)
    if batch >= 2 * count and weight_bytes <= ROWS_ALONE:
        return Shares(count, 1)
    return Shares(count, count if weight_bytes >= UNITS_PAY else 1)
