"""A run of a kernel over all steps: its tensors, and their addresses."""

from collections.abc import Sequence
from math import prod

from torch import Tensor

from rnnkit_compiler.form.lowering import Invariant
from rnnkit_compiler.native.kernel import Matrix, Shares
from rnnkit_compiler.native.layout import Layout
from rnnkit_compiler.native.team import threads
from rnnkit_compiler.native.unrolling import Unrolling
from rnnkit_compiler.native.workspace import shared
from rnnkit_compiler.run.backend import Sequences

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
        self._held: list[Tensor] = []

    def take(self, *shape: int) -> Tensor:
        """Give a tensor of the run's dtype on recycled memory."""
        return shared.take(shape, self.dtype)

    def enter(self, name: str, tensor: Tensor) -> Tensor:
        """Let the kernel have a tensor under a name, and give it: as contiguous numbers of the run's dtype."""
        if tensor.dtype != self.dtype or not tensor.is_contiguous():
            tensor = tensor.to(self.dtype).contiguous()
        self._held.append(tensor)
        self.addresses[name] = tensor.data_ptr()
        return tensor

    def enter_memory(self, memory: Tensor, layout: Layout) -> None:
        """Let the kernel have all buffers of a layout."""
        base = memory.data_ptr()
        for name, offset in layout.offsets.items():
            self.addresses[name] = base + offset

    def enter_vectors(self) -> None:
        """Let the kernel have the invariant vectors."""
        for k, (place, vector) in enumerate(zip(self.unrolling.of_vector, self.step.vectors, strict=True)):
            tensor = self.invariants[place]
            self.enter(f"vector{k}", tensor if tensor.numel() == prod(vector.shape) else tensor.expand(vector.shape))

    def matrix(self, k: int) -> Tensor:
        """Give an invariant matrix (K, N) as a view of its tensor."""
        return matrix_of(self.invariants[self.unrolling.of_matrix[k]], self.step.matrices[k])

    def launch(self, name: str, slots: int, y_apart: bool) -> None:
        """Run a function of the kernel."""
        size = self.dtype.itemsize
        matrices = [
            _address(self.invariants[place], invariant, size)
            for place, invariant in zip(self.unrolling.of_matrix, self.step.matrices, strict=True)
        ]
        kernel = self.unrolling.kernel
        kernel.run(name, self.sequences, self.addresses, matrices, self.shares, slots, y_apart)


def matrix_of(tensor: Tensor, invariant: Invariant) -> Tensor:
    """Give an invariant matrix (K, N) as a view of the tensor that it is, or a part or the transpose of."""
    if tensor.ndim == 1:
        tensor = tensor.unsqueeze(0 if invariant.turned else 1)
    tensor = tensor.reshape(tensor.shape[-2:])
    if invariant.turned:
        tensor = tensor.t()
    return tensor[invariant.offset : invariant.offset + invariant.shape[0]]


def _address(tensor: Tensor, invariant: Invariant, size: int) -> Matrix:
    """Give an invariant matrix by address and strides, as `_matrix` would."""
    strides = tensor.stride()
    rows, columns = strides[-2:] if len(strides) > 1 else (0, strides[0]) if invariant.turned else (strides[0], 0)
    if invariant.turned:
        rows, columns = columns, rows
    return Matrix(tensor.data_ptr() + invariant.offset * rows * size, rows, columns)


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
    if weight_bytes >= UNITS_PAY:
        return Shares(count, count)
    return Shares(min(count, batch), 1)
