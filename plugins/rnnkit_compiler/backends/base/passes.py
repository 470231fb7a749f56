"""One pass of a kernel over all steps, prepared once for all calls of a form.

What a call does in Python beside its kernel takes as long as the kernel of a small layer. So all that two calls have in
common is found out once: which tensors there will be, and where in them is what the kernel reads and writes. Tensors
are told by numbers: first those that a call brings, in its order, then those that are made of them or for the pass.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from rnnkit_compiler.backends.base import numbered
from rnnkit_compiler.backends.base.backend import Timeline
from rnnkit_compiler.backends.base.recurrence import Recurrence
from rnnkit_compiler.backends.base.runtime import Matrix, Prepared, Product, Runner, Spot, sizes
from rnnkit_compiler.ir.lowered import Hoisted
from rnnkit_compiler.schedule.buffers import Buffer
from rnnkit_compiler.schedule.layout import Layout

Maker: TypeAlias = Callable[[Sequence[Tensor]], Tensor]
"""Makes a tensor in a call, from those before it."""


class Foreknown(NamedTuple):
    """What is known of the invariants beforehand, by their places."""

    fixed: Mapping[int, int]
    """The addresses of those that lie there in all calls, as kernels read them."""

    added: Sequence[int]
    """To these the tensors are added that a call brings behind its invariants, in order; they are vectors."""


NOTHING = Foreknown({}, ())


class Sample(NamedTuple):
    """A call of a form, by which a pass is prepared for all of them."""

    recurrence: Recurrence
    """The step."""

    timeline: Timeline
    tensors: Sequence[Tensor]
    """Parts, states, initial states and invariants."""

    foreknown: Foreknown


class Pass:
    """The tensors of one pass, and where in them the kernel finds its buffers.

    Args:
        kernel: "Forward", "Inference" or "Backward".
        sample: a call of the form.
        others: how many more tensors a call brings.
    """

    def __init__(self, kernel: str, sample: Sample, others: int = 0) -> None:
        recurrence, timeline, tensors, foreknown = sample
        self.recurrence, self.kernel = recurrence, kernel
        self.plan, self.step = recurrence.plan, recurrence.plan.step
        self.runtime = runtime = recurrence.runtime
        self.dtype, self.device = runtime.dtype, runtime.device
        self.steps, self.batch = timeline.steps, timeline.batch
        parts, states = recurrence.given_parts, len(self.step.state_widths)
        first = parts + states + (states if timeline.reset is not None else 0)
        numbers = range(len(tensors))
        self.parts, self.states = numbers[:parts], numbers[parts : parts + states]
        self.initial = numbers[parts + states : first]
        self.given_invariants = numbers[first : first + recurrence.invariants]
        self.addends = numbers[first + recurrence.invariants :]
        self.invariants = [*self.given_invariants]
        """With sums in the place of those that something is added to."""
        self.shapes = {number: tensor.shape for number, tensor in enumerate(tensors)}
        self.shares = recurrence.shares(self.steps, self.batch)
        self.product_slots = recurrence.product_slots(self.steps, self.batch) if kernel == "Inference" else self.steps
        self.locations: dict[Buffer, Spot] = {}
        self.matrices = [
            matrix._replace(location=Spot(first + place, matrix.location))
            for place, matrix in zip(recurrence.of_matrix, recurrence.matrices_in(tensors[first:]), strict=True)
        ]
        """The invariant matrices (K, N)."""
        self._outside = {matrix.location.tensor for matrix in self.matrices}
        self._products: list[Product] = []
        self._fixed = {first + place: address for place, address in foreknown.fixed.items()}
        self._count = self._given = len(tensors) + others
        self._sums = [*self._sums_of(foreknown.added)]
        # What is made in a call, each with its number: of nothing, as a tensor that fits, of tensors before it.
        self._rooms: list[tuple[int, Callable[[], Tensor]]] = []
        self._fittings: list[tuple[int, int]] = []
        self._makers: list[tuple[int, Maker]] = []
        self._expansions: list[tuple[int, int]] = []
        self._runner: Runner
        self.nothing = torch.empty(0, dtype=self.dtype, device=self.device)
        """A tensor without numbers."""

    def _sums_of(self, added: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        """Put sums in the place of invariants to which something is added; return the numbers of each and its parts."""
        for place, addend in zip(added, self.addends, strict=True):
            number, before = self._next(), self.invariants[place]
            self.invariants[place], self.shapes[number] = number, self.shapes[before]
            yield number, before, addend

    def made(self, maker: Maker) -> int:
        """Have a tensor made of others in each call; return its number."""
        self._makers.append((number := self._next(), maker))
        return number

    def _next(self) -> int:
        self._count += 1
        return self._count - 1

    def _room(self, make: Callable[[], Tensor]) -> int:
        self._rooms.append((number := self._next(), make))
        return number

    def room(self, *shape: int, exact: bool = False) -> int:
        """Have a tensor of the pass's dtype on recycled memory, of no more than it if `exact`."""
        return self._room(self.runtime.allocator(shape, self.dtype, exact))

    def zeros(self, *shape: int) -> int:
        """Have zeros of the pass's dtype."""
        return self._room(partial(torch.zeros, *sizes(shape), dtype=self.dtype, device=self.device))

    def sums(self, *shape: int) -> int:
        """Have room for what the workers add up over the steps."""
        return self._room(self.runtime.allocator_of_sums(sizes(shape), self.shares.workers))

    def fresh(self, shape: Sequence[int]) -> int:
        """Have a tensor of the pass's dtype that goes to the user."""
        return self._room(partial(torch.empty, *sizes(shape), dtype=self.dtype, device=self.device))

    def admit(self, buffer: Buffer, number: int, shape: Sequence[int] | None = None) -> int:
        """Make a tensor from outside a buffer of the kernel, expanded to a shape if one is said.

        Return the number of what it becomes: contiguous, in the pass's dtype.
        """
        is_sum = number in {of_sum for of_sum, _, _ in self._sums}
        if shape is not None:
            entered = self.made(_expanded(number, self.dtype, shape))
            self._expansions.append((entered, number))
        elif number in self._fixed or is_sum:
            entered = number
        else:
            self._fittings.append((entered := self._next(), number))
        if not is_sum:
            self._outside.add(entered)
        return self.enter(buffer, entered)

    def enter(self, buffer: Buffer, number: int) -> int:
        """Make a tensor that is contiguous and in the pass's dtype one of the kernel's buffers."""
        self.locations[buffer] = Spot(number)
        return number

    def enter_memory(self, number: int, layout: Layout) -> None:
        """Let the kernel have all buffers of a layout."""
        size = self.dtype.itemsize
        self.locations |= {buffer: Spot(number, offset // size) for buffer, offset in layout.offsets.items()}

    def enter_vectors(self) -> None:
        """Let the kernel have the invariant vectors."""
        for k, (place, vector) in enumerate(zip(self.recurrence.of_vector, self.step.vectors, strict=True)):
            number = self.invariants[place]
            whole = self.shapes[number].numel() == prod(vector.shape)
            shape = self.shapes[number] if whole else vector.shape
            if self.recurrence.is_wide[place]:
                self._outside.add(self.enter(numbered.vector(k), self.made(_expanded(number, torch.float32, shape))))
            else:
                self.admit(numbered.vector(k), number, None if whole else shape)

    def rows(self, buffer: Buffer, width: int, count: int = 1) -> Matrix:
        """Describe a buffer with a slot for each step as a matrix: (T * B, width); (T * B * count, width / count)."""
        width //= count
        return Matrix(self.locations[buffer], self.steps * self.batch * count, width, width, 1)

    def input_of(self, hoisted: Hoisted) -> Matrix:
        """Describe what a product of the input alone multiplies: (T * B, K)."""
        location = self.locations[numbered.part(hoisted.part)].shifted(hoisted.offset)
        stride = self.step.part_widths[hoisted.part]
        return Matrix(location, self.steps * self.batch, hoisted.width, stride, 1)

    def multiply(self, shape: Sequence[int], a: Matrix, b: Matrix, bias: Spot | None = None) -> int:
        """Have a product of rows of all steps with a matrix done with the run; return the number of its result."""
        result = self.room(*shape)
        self._products.append(Product(result, a, b, bias, None, False))
        return result

    def multiply_over_steps(self, a: Matrix, b: Matrix, row_sums: Spot | None) -> int:
        """Have a product that sums over rows of all steps done with the run; return the number of its result.

        `row_sums` is room for the sum of each row of A.
        """
        result = self.room(a.rows, b.columns)
        self._products.append(Product(result, a, b, None, row_sums, True))
        return result

    def may_overlay(self, alone: bool) -> bool:
        """Tell whether buffers may lie over each other, for which workers may have to have whole rows."""
        return self.shares.units == 1 or not alone

    def prepare(self, slots: int, writes_y: bool) -> None:
        """Prepare the run of the kernel, and of the products: before a forward pass, and behind a backward one.

        Raises:
            Unfit: there is no such kernel here.
        """
        self._blank = [self.nothing] * (self._count - self._given)
        self._runner = self.runtime.runner(
            Prepared(
                self.kernel,
                self.steps,
                self.batch,
                frozenset(self._outside),
                self._fixed,
                self.locations,
                self.matrices,
                self.shares,
                slots,
                self.product_slots,
                writes_y,
                self._products,
            )
        )
        read = {source for _, source in self._expansions}
        self._sums = [one for one in self._sums if one[0] in read or self._runner.reads(one[0])]

    def run_on(self, given: Sequence[Tensor], timeline: Timeline) -> list[Tensor]:
        """Run the kernel; return all tensors by their numbers.

        Raises:
            Unfit: a kernel may not touch one of the tensors; nothing has been computed.
        """
        tensors = [*given, *self._blank]
        for number, one, other in self._sums:
            tensors[number] = tensors[one] + tensors[other]
        for number, make in self._rooms:
            tensors[number] = make()
        dtype = self.dtype
        for number, source in self._fittings:
            tensor = tensors[source]  # as `fitted` does it, without a call
            fits = tensor.dtype is dtype and tensor.is_contiguous()
            tensors[number] = tensor if fits else tensor.to(dtype).contiguous()
        for number, make_of in self._makers:
            tensors[number] = make_of(tensors)
        self._runner(tensors, timeline)
        return tensors


def fitted(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a tensor as a kernel reads it: contiguous, in its dtype; mostly it is so."""
    return tensor if tensor.dtype is dtype and tensor.is_contiguous() else tensor.to(dtype).contiguous()


def _expanded(number: int, dtype: torch.dtype, shape: Sequence[int]) -> Maker:
    """Return what expands a tensor of a call to a shape, and fits it."""
    return lambda tensors: fitted(tensors[number].expand(*shape), dtype)
