"""A call of the inference kernel that is prepared once: later ones exchange addresses and allocate nothing."""

import ctypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import prod

import torch
from torch import Tensor

from rnnkit_compiler.backends.base import numbered
from rnnkit_compiler.backends.base.backend import Direct, Fixed, Timeline
from rnnkit_compiler.backends.base.passes import fitted
from rnnkit_compiler.backends.base.recurrence import Recurrence
from rnnkit_compiler.backends.base.runtime import Launch, Matrix, Unfit
from rnnkit_compiler.backends.cpp.boundary import address_of
from rnnkit_compiler.backends.cpp.kernel import LINE, Kernel, aligned
from rnnkit_compiler.backends.cpp.thread_pool import threads
from rnnkit_compiler.backends.cpp.whole_products import Multiply, describe
from rnnkit_compiler.schedule.buffers import Buffer

NAME = "Inference"
SLOTS = 2
"""Of the states, which take turns."""


class DirectCall(Direct):
    """The room of one call, and where the addresses go that differ from call to call.

    Args:
        recurrence: the step.
        kernel: its library that has the inference kernel.
        steps: T.
        batch: B.
    """

    def __init__(self, recurrence: Recurrence, kernel: Kernel, steps: int, batch: int) -> None:
        self._recurrence, self._kernel = recurrence, kernel
        self._step, self._dtype = recurrence.plan.step, kernel.dtype
        self._timeline = Timeline(steps, batch, None, None, None)
        self._buffers = _numbered([*kernel.source.buffers, *self._outside()])
        self._pointers = (ctypes.c_void_p * len(self._buffers))()
        states = range(len(self._step.state_widths))
        self._of_parts = self._places_of(map(numbered.part, range(recurrence.given_parts)))
        self._of_before = self._places_of(map(numbered.first, states))
        self._of_results = self._places_of([numbered.Y, *map(numbered.last, states)])
        self._of_vectors = self._places_of(map(numbered.vector, range(len(self._step.vectors))))
        self._shapes = [vector.shape for vector in self._step.vectors]
        self._sizes = [*map(prod, self._shapes)]
        self._threads = 0
        self._matrices: list[int] = []
        """The addresses of the matrices that the call is prepared for."""

    def _outside(self) -> Iterator[Buffer]:
        """List the buffers that come with each call."""
        yield numbered.Y
        yield from map(numbered.part, range(self._recurrence.given_parts))
        yield from map(numbered.vector, range(len(self._step.vectors)))
        for k in range(len(self._step.state_widths)):
            yield from (numbered.first(k), numbered.last(k))

    def _places_of(self, buffers: Iterable[Buffer]) -> list[int]:
        return [self._buffers[buffer] for buffer in buffers]

    def enter(self, before: Sequence[Tensor], ys: Tensor, after: Sequence[Tensor]) -> None:
        """Take the states and the room for results of the calls to come; see `Direct`."""
        pointers = self._pointers
        for place, tensor in zip(self._of_before, before, strict=True):
            pointers[place] = address_of(tensor)
        for place, tensor in zip(self._of_results, (ys, *after), strict=True):
            pointers[place] = tensor.data_ptr()

    def run(self, parts: Sequence[Tensor], invariants: Sequence[Tensor]) -> None:
        """Run the kernel; see `Direct`."""
        matrices = [invariants[place].data_ptr() for place in self._recurrence.of_matrix]
        if matrices != self._matrices or threads() != self._threads:
            self._prepare(invariants)
            self._matrices, self._threads = matrices, threads()
        pointers, held = self._pointers, [fitted(part, self._dtype) for part in parts]
        for place, tensor in zip(self._of_parts, held, strict=True):
            pointers[place] = address_of(tensor)
        for k, (place, which) in enumerate(zip(self._of_vectors, self._recurrence.of_vector, strict=True)):
            vector = invariants[which]
            whole = vector if vector.numel() == self._sizes[k] else vector.expand(self._shapes[k])
            held.append(fitted(whole, self._dtype))
            pointers[place] = held[-1].data_ptr()
        for product, part, offset, bias in self._products_of_input:
            product.a = (pointers[part] or 0) + offset
            if bias is not None:
                product.bias = pointers[bias]
        self._function(self._call)

    def fixed(self, invariants: Sequence[Tensor], sums: Mapping[int, Sequence[Tensor]]) -> Fixed | None:
        """Prepare the call for these invariants; see `Direct`."""
        known, of_vector = self._kernel.source.buffers, self._recurrence.of_vector
        read = {which for k, which in enumerate(of_vector) if numbered.vector(k) in known}
        read.update(self._recurrence.of_matrix)
        vectors = [invariants[which] for which in of_vector]
        whole = all(
            v.numel() == size and v is fitted(v, self._dtype) for v, size in zip(vectors, self._sizes, strict=True)
        )
        # Of several threads each run asks whether they are there: a fork has lost them.
        alone = self._recurrence.shares(self._timeline.steps, self._timeline.batch).workers == 1
        if read & sums.keys() or not whole or not alone or len(self._of_parts) != 1:
            return None
        self._prepare(invariants)
        for place, which, vector in zip(self._of_vectors, of_vector, vectors, strict=True):
            self._pointers[place] = address_of(sums[which][0] if which in sums else vector)
        for hoisted, (product, *_, bias) in zip(self._step.hoisted, self._products_of_input, strict=True):
            if bias is not None and hoisted.bias is not None:
                product.bias = self._pointers[bias]
                if (which := of_vector[hoisted.bias]) in sums:
                    product.bias2 = address_of(sums[which][1])
        return self._run_of_input()

    def _run_of_input(self) -> Fixed:
        """Return what runs the call as it is prepared, with another input and room for outputs."""
        pointers, (part,), of_outputs = self._pointers, self._of_parts, self._of_results[0]
        factors = [(product, offset) for product, _, offset, _ in self._products_of_input]
        function, call = self._function, self._call

        def run(xs: Tensor, ys: Tensor) -> bool:
            try:
                pointers[part] = address = address_of(xs)
            except Unfit:
                return False
            pointers[of_outputs] = ys.data_ptr()
            for product, offset in factors:
                product.a = address + offset
            function(call)
            return True

        run.holds = self  # type: ignore[attr-defined]  # the room
        return run

    def _prepare(self, invariants: Sequence[Tensor]) -> None:
        """Have room for what the kernel writes, and describe its run with these matrices."""
        steps, batch = self._timeline.steps, self._timeline.batch
        matrices = [*self._matrices_in(invariants)]
        layout = self._recurrence.layout(NAME, steps, batch)
        shares = self._recurrence.shares(steps, batch)
        ahead = self._recurrence.product_slots(steps, batch)
        launch = Launch(NAME, self._timeline, {}, matrices, shares, SLOTS, ahead, True, ())
        products = (Multiply * len(self._step.hoisted))()
        ready = self._kernel.describe(launch, self._pointers, products)
        widths = [matrices[hoisted.matrix].columns for hoisted in self._step.hoisted]
        sizes = [layout.size, *(ahead * batch * width * self._dtype.itemsize for width in widths), ready.room]
        starts = [0, *accumulate(map(aligned, sizes))]
        self._room = torch.empty(starts.pop() + LINE, dtype=torch.uint8, device="cpu")
        base = aligned(self._room.data_ptr())
        for buffer, offset in layout.offsets.items():
            if buffer in self._buffers:
                self._pointers[self._buffers[buffer]] = base + offset
        self._products_of_input = [*self._describe(products, matrices, [base + start for start in starts[1:-1]])]
        self._kernel.place(ready, self._room[starts[-1] :])
        self._ready, self._call, self._function = ready, ctypes.byref(ready.call), ready.function

    def _matrices_in(self, invariants: Sequence[Tensor]) -> Iterator[Matrix]:
        """Describe the invariant matrices (K, N), by their addresses."""
        found = self._recurrence.matrices_in(invariants)
        for place, matrix in zip(self._recurrence.of_matrix, found, strict=True):
            yield matrix._replace(location=address_of(invariants[place]) + matrix.location * self._dtype.itemsize)

    def _describe(
        self, products: "ctypes.Array[Multiply]", matrices: Sequence[Matrix], results: Sequence[int]
    ) -> Iterator[tuple[Multiply, int, int, int | None]]:
        """Describe the products of the input alone; return of each, by numbers of buffers, what changes with a call.

        That is the part that is multiplied, the bytes that it begins behind the part's, and the bias.
        """
        rows = self._timeline.steps * self._timeline.batch
        for k, (hoisted, result) in enumerate(zip(self._step.hoisted, results, strict=True)):
            part = Matrix(0, rows, hoisted.width, self._step.part_widths[hoisted.part], 1)
            products[k] = describe(result, part, matrices[hoisted.matrix])
            self._pointers[self._buffers[numbered.part(self._recurrence.given_parts + k)]] = result
            bias = None if hoisted.bias is None else self._of_vectors[hoisted.bias]
            yield products[k], self._of_parts[hoisted.part], hoisted.offset * self._dtype.itemsize, bias


def _numbered(buffers: Iterable[Buffer]) -> dict[Buffer, int]:
    return {buffer: number for number, buffer in enumerate(dict.fromkeys(buffers))}
