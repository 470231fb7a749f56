"""One pass of a kernel over all steps: its tensors, and where their numbers are."""

from collections.abc import Sequence
from math import prod

from torch import Tensor

from rnnkit_compiler.backends.base import numbered
from rnnkit_compiler.backends.base.backend import Timeline
from rnnkit_compiler.backends.base.recurrence import Recurrence
from rnnkit_compiler.backends.base.runtime import Launch, Location, Matrix, PendingProduct
from rnnkit_compiler.ir.lowered import Hoisted
from rnnkit_compiler.schedule.buffers import Buffer
from rnnkit_compiler.schedule.layout import Layout


class Pass:
    """The tensors of one pass, and where their numbers are."""

    def __init__(self, recurrence: Recurrence, timeline: Timeline, tensors: Sequence[Tensor]) -> None:
        self.recurrence, self.timeline = recurrence, timeline
        self.plan, self.step = recurrence.plan, recurrence.plan.step
        self.runtime = runtime = recurrence.runtime
        self.dtype, self.device = runtime.dtype, runtime.device
        self.steps, self.batch = timeline.steps, timeline.batch
        parts, states = recurrence.given_parts, len(self.step.state_widths)
        self.parts = tensors[:parts]
        self.states = tensors[parts : parts + states]
        first = parts + states + (states if timeline.reset is not None else 0)
        self.initial = tensors[parts + states : first]
        self.invariants = tensors[first:]
        self.shares = recurrence.shares(self.steps, self.batch)
        self.locations: dict[Buffer, Location] = {}
        self.matrices = recurrence.invariant_matrices(self.invariants)
        """The invariant matrices (K, N)."""
        self._products: list[PendingProduct] = []
        self._held: list[Tensor] = []

    def allocate(self, *shape: int, exact: bool = False) -> Tensor:
        """Return a tensor of the pass's dtype on recycled memory, of no more than it if `exact`."""
        return self.runtime.allocate(shape, self.dtype, exact)

    def admit(self, buffer: Buffer, tensor: Tensor) -> Tensor:
        """Make a tensor from outside a buffer of the kernel, and return it: contiguous, in the pass's dtype.

        Raises:
            Unfit: a kernel may not touch it.
        """
        if tensor.dtype != self.dtype or not tensor.is_contiguous():
            tensor = tensor.to(self.dtype).contiguous()
        self._held.append(tensor)
        self.locations[buffer] = self.runtime.location_of(tensor)
        return tensor

    def enter(self, buffer: Buffer, tensor: Tensor) -> Tensor:
        """Make a tensor that was made for the kernel, contiguous and in the pass's dtype, one of its buffers."""
        self._held.append(tensor)
        self.locations[buffer] = self.runtime.location_of_own(tensor)
        return tensor

    def enter_memory(self, memory: Tensor, layout: Layout) -> None:
        """Let the kernel have all buffers of a layout."""
        self._held.append(memory)
        self.locations |= self.runtime.spread(memory, layout)

    def enter_vectors(self) -> None:
        """Let the kernel have the invariant vectors."""
        for k, (place, vector) in enumerate(zip(self.recurrence.of_vector, self.step.vectors, strict=True)):
            tensor = self.invariants[place]
            whole = tensor if tensor.numel() == prod(vector.shape) else tensor.expand(vector.shape)
            self.admit(numbered.vector(k), whole)

    def rows(self, buffer: Buffer, width: int, count: int = 1) -> Matrix:
        """Describe a buffer with a slot for each step as a matrix: (T * B, width); (T * B * count, width / count)."""
        width //= count
        return Matrix(self.locations[buffer], self.steps * self.batch * count, width, width, 1)

    def input_of(self, hoisted: Hoisted) -> Matrix:
        """Describe what a product of the input alone multiplies: (T * B, K)."""
        location = self.locations[numbered.part(hoisted.part)]
        if hoisted.offset:
            location = self.runtime.shifted(location, hoisted.offset)
        stride = self.step.part_widths[hoisted.part]
        return Matrix(location, self.steps * self.batch, hoisted.width, stride, 1)

    def multiply(
        self,
        shape: Sequence[int],
        a: Matrix,
        b: Matrix,
        bias: Location | None = None,
        row_sums: Location | None = None,
    ) -> Tensor:
        """Have a product of whole matrices done with the launch; see `Runtime`. Return its result, of `shape`."""
        result = self.allocate(*shape)
        self._held.append(result)
        self._products.append(self.runtime.multiply(result, a, b, bias, row_sums))
        return result

    def may_overlay(self, alone: bool) -> bool:
        """Tell whether buffers may lie over each other, for which workers may have to have whole rows."""
        return self.shares.units == 1 or not alone

    def launch(self, kernel: str, slots: int, writes_y: bool) -> None:
        """Run a kernel, and the products: before a forward pass, and behind a backward one."""
        shares, products = self.shares, self._products
        self.runtime.launch(
            Launch(kernel, self.timeline, self.locations, self.matrices, shares, slots, writes_y, products)
        )
