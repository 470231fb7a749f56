"""A run of a kernel that is prepared: each call exchanges addresses, and nothing else."""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from rnnkit_compiler.backends.base.backend import Timeline
from rnnkit_compiler.backends.base.runtime import Launch, Matrix, Prepared, Product, Runner, Spot
from rnnkit_compiler.backends.cpp.boundary import address_of
from rnnkit_compiler.backends.cpp.kernel import Kernel
from rnnkit_compiler.backends.cpp.whole_products import Multiply, describe, side_by_side
from rnnkit_compiler.backends.cpp.workspace import scratch

Exchange: TypeAlias = tuple["ctypes.Array[Any]", int, int, int]
"""An array of addresses, a place in it, the number of the tensor, and the bytes behind its beginning."""


class PreparedRun:
    """What a kernel is called with; of one thread at a time.

    Args:
        kernel: its library.
        prepared: what it is given, by the numbers of tensors.
    """

    def __init__(self, kernel: Kernel, prepared: Prepared) -> None:
        self.name = prepared.kernel
        self._kernel, self._size = kernel, kernel.dtype.itemsize
        timeline = Timeline(prepared.steps, prepared.batch, None, None, None)
        ordered = side_by_side(prepared.products)
        products = (Multiply * len(ordered))(*map(self._described, ordered))
        pointers = (ctypes.c_void_p * max(1, len(kernel.source.buffers)))()
        matrices = [self._from_zero(matrix) for matrix in prepared.matrices]
        shares, slots = prepared.shares, (prepared.slots, prepared.product_slots)
        launch = Launch(prepared.kernel, timeline, {}, matrices, shares, *slots, prepared.writes_y, ())
        self._ready = kernel.describe(launch, pointers, products)
        self._call = ctypes.byref(self._ready.call)
        self._placed_at = 0
        self._exchanges = [
            *self._of_buffers(pointers, prepared),
            *self._of_columns(self._ready.columns, prepared),
            *self._of_products(products, ordered),
        ]
        self._enter_fixed(prepared.fixed)
        self.exchanged = used = {number for _, _, number, _ in self._exchanges}
        """The numbers of the tensors whose addresses are."""
        self._outside = [*used & prepared.outside]
        self._own = [*used - prepared.outside]
        self._addresses = [0] * (1 + max(used, default=0))

    def __call__(self, tensors: Sequence[Tensor], timeline: Timeline) -> None:
        """Run the kernel; see `Runner`."""
        addresses, ready = self._addresses, self._ready
        for number in self._outside:
            addresses[number] = address_of(tensors[number])
        for number in self._own:
            addresses[number] = tensors[number].data_ptr()
        for array, place, number, offset in self._exchanges:
            array[place] = addresses[number] + offset
        self._kernel.mask(ready, timeline)
        room = scratch.borrow(ready.room)
        if (address := room.data_ptr()) != self._placed_at:  # mostly it is where that of the last call was
            self._kernel.place(ready, room)
            self._placed_at = address
        ready.function(self._call)
        scratch.give_back(room)

    def _enter_fixed(self, addresses: Mapping[int, int]) -> None:
        """Enter the addresses of tensors that stay where they are, once for all calls."""
        for array, place, number, offset in self._exchanges:
            if number in addresses:
                array[place] = addresses[number] + offset
        self._exchanges = [exchange for exchange in self._exchanges if exchange[2] not in addresses]

    def _from_zero(self, matrix: Matrix) -> Matrix:
        """Return a matrix of a tensor that begins at address 0."""
        return matrix._replace(location=matrix.location.offset * self._size)

    def _described(self, product: Product) -> Multiply:
        described = describe(0, self._from_zero(product.a), self._from_zero(product.b))
        described.over_steps = product.over_steps
        return described

    def _of_buffers(self, pointers: "ctypes.Array[ctypes.c_void_p]", prepared: Prepared) -> Iterator[Exchange]:
        for place, buffer in enumerate(self._kernel.source.buffers):
            spot = prepared.locations.get(buffer)
            if spot is not None:
                yield (pointers, place, spot.tensor, spot.offset * self._size)

    def _of_columns(self, columns: "ctypes.Array[ctypes.c_int64]", prepared: Prepared) -> Iterator[Exchange]:
        for k, (matrix, _, _) in enumerate(self._kernel.source.columns[prepared.kernel]):
            yield (columns, 3 * k, prepared.matrices[matrix].location.tensor, columns[3 * k])

    def _of_products(self, products: "ctypes.Array[Multiply]", ordered: Sequence[Product]) -> Iterator[Exchange]:
        count = ctypes.sizeof(Multiply) // ctypes.sizeof(ctypes.c_int64)
        fields = (ctypes.c_int64 * (count * len(ordered))).from_buffer(products) if ordered else None
        for k, product in enumerate(ordered):
            spots = {"c": Spot(product.result), "a": product.a.location, "b": product.b.location}
            spots |= {"bias": product.bias, "row_sums": product.row_sums}
            for name, spot in spots.items():
                if spot is not None and fields is not None:
                    place = count * k + getattr(Multiply, name).offset // ctypes.sizeof(ctypes.c_int64)
                    yield (fields, place, spot.tensor, spot.offset * self._size)


class PreparedRuns(Runner):
    """Prepared runs of one form, one for each thread that is in a call."""

    def __init__(self, kernel: Kernel, prepared: Prepared) -> None:
        self._kernel, self._prepared = kernel, prepared
        self._free = [first := PreparedRun(kernel, prepared)]
        self._read = first.exchanged

    def reads(self, number: int) -> bool:
        """Tell whether the address of a tensor is exchanged."""
        return number in self._read

    def __call__(self, tensors: Sequence[Tensor], timeline: Timeline) -> None:
        """Run the kernel; see `Runner`."""
        try:
            run = self._free.pop()
        except IndexError:  # another thread has it
            run = PreparedRun(self._kernel, self._prepared)
        try:
            run(tensors, timeline)
        finally:
            self._free.append(run)
