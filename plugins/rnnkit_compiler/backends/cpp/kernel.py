"""A kernel that is loaded: from addresses and sizes to its C interface."""

import ctypes
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.backend import Timeline
from rnnkit_compiler.backends.base.runtime import Launch, Matrix
from rnnkit_compiler.backends.cpp.boundary import address_of
from rnnkit_compiler.backends.cpp.code.kernel_source import Source
from rnnkit_compiler.backends.cpp.library import functions_with_contractions, has_few, library_of
from rnnkit_compiler.backends.cpp.thread_pool import ThreadPool, thread_pool_of
from rnnkit_compiler.backends.cpp.whole_products import Multiply

LINE = 64
"""Bytes of a line of the cache, where every piece of room begins."""

ROWS_OF_STRETCH = 512
"""Rows for which whole products are done at a time: so few that what they give is still in a cache when it is read, or
what they read since it was written, and so many that packing the matrix again pays."""

Pointers: TypeAlias = "ctypes.Array[ctypes.c_void_p]"


class _Call(ctypes.Structure):
    """Mirrors `Call` in headers/kernel.h, which says what each field means."""

    _fields_ = (
        ("steps", ctypes.c_int64),
        ("batch", ctypes.c_int64),
        ("sizes", ctypes.c_void_p),
        ("numbers", ctypes.c_void_p),
        ("contractions", ctypes.c_void_p),
        ("units", ctypes.c_void_p),
        ("buffers", ctypes.c_void_p),
        ("gates", ctypes.c_void_p),
        ("functions", ctypes.c_void_p),
        ("products", ctypes.c_void_p),
        ("product_count", ctypes.c_int64),
        ("stretch", ctypes.c_int64),
        ("product_slots", ctypes.c_int64),
        ("workspace", ctypes.c_void_p),
        ("packed", ctypes.c_void_p),
        ("scratch", ctypes.c_void_p),
        ("slots", ctypes.c_int64),
        ("y_apart", ctypes.c_int64),
        ("order", ctypes.c_void_p),
        ("lengths", ctypes.c_void_p),
        ("reset", ctypes.c_void_p),
        ("unit_threads", ctypes.c_int64),
        ("packs", ctypes.c_int64),
        ("team", ThreadPool),
    )


class Sizes(NamedTuple):
    """Bytes that a run needs beside its buffers."""

    packed: int
    workspace: int
    scratch: int


class Ready(NamedTuple):
    """A run that is described."""

    call: _Call
    function: Callable[..., None]
    sizes: Sizes
    pointers: Pointers
    columns: "ctypes.Array[ctypes.c_int64]"
    products: "ctypes.Array[Multiply]"

    @property
    def room(self) -> int:
        """Bytes of room, wherever it begins."""
        return sum(self.sizes) + 3 * LINE


class Kernel:
    """The functions of one generated library, and what its numbered arguments stand for."""

    def __init__(self, library: ctypes.CDLL, source: Source, dtype: torch.dtype, narrow: bool) -> None:
        self._library = library  # which holds the functions in memory
        self._functions = {name: getattr(library, name.lower()) for name in source.columns}
        self._rooms = {name: getattr(library, f"{name.lower()}_room") for name in source.columns}
        for function in (*self._functions.values(), *self._rooms.values()):
            function.restype = None
        self.source = source
        self.dtype, self._narrow = dtype, narrow
        real = ctypes.c_double if dtype == torch.float64 else ctypes.c_float
        self._numbers = (real * max(1, len(source.numbers)))(*source.numbers)
        self._sizes = (ctypes.c_int64 * max(1, len(source.sizes)))(*source.sizes)
        self._contractions = (ctypes.c_int64 * max(1, len(source.contractions)))(*source.contractions)
        self._units = [(ctypes.c_int32 * len(units))(*units) for units in source.units]
        self._tables = (ctypes.c_void_p * max(1, len(self._units)))(*map(ctypes.addressof, self._units))
        library_ = library_of(dtype, narrow)
        self._workspace, self._few_rows = library_.workspace, library_.few_rows
        contracts = bool(source.contractions)
        self._products = functions_with_contractions(dtype, narrow) if contracts else library_.functions
        self._template = _Call(
            sizes=ctypes.addressof(self._sizes),
            numbers=ctypes.addressof(self._numbers),
            contractions=ctypes.addressof(self._contractions),
            units=ctypes.addressof(self._tables),
            functions=ctypes.addressof(self._products),
        )
        """What is the same at every call; null where nothing else is said."""
        self._known_rooms: dict[tuple[str, int, int, int, int], tuple[int, int]] = {}

    def describe(self, launch: Launch, pointers: Pointers, products: "ctypes.Array[Multiply]") -> "Ready":
        """Describe a run, all but its masks and room; what is pointed to may be exchanged until it runs.

        Args:
            launch: what runs; of it sizes, matrices and shares are read.
            pointers: where the buffers of the source are, in their order.
            products: whole products, done before the steps that read them or, in backward, behind those that give rows.
        """
        name, timeline, shares, count = launch.kernel, launch.timeline, launch.shares, len(products)
        columns = self._columns(name, launch.matrices)
        call = _Call.from_buffer_copy(self._template)
        call.steps, call.batch = timeline.steps, timeline.batch
        call.buffers, call.gates = ctypes.addressof(pointers), ctypes.addressof(columns)
        is_few = timeline.steps * timeline.batch <= self._few_rows and _are_contiguous(columns)
        call.packs = not (is_few and has_few(self._products, self.dtype, self._narrow))
        call.slots, call.y_apart = launch.slots, launch.writes_y
        call.products, call.product_count = ctypes.addressof(products), count
        # Products by weights where they lie add to nothing, so backward does all of them at once.
        in_stretches = count and (call.packs or name != "Backward")
        call.stretch = stretch(timeline.steps, timeline.batch) if in_stretches else max(1, timeline.steps)
        call.product_slots = launch.product_slots
        call.unit_threads, call.team = shares.units, thread_pool_of(shares.workers)
        packed_values, scratch_bytes = self._room(name, call)
        sizes = Sizes(
            packed_values * self.dtype.itemsize * call.packs,
            self._workspace * shares.workers * self.dtype.itemsize if count else 0,
            scratch_bytes * shares.workers,
        )
        return Ready(call, self._functions[name], sizes, pointers, columns, products)

    @staticmethod
    def mask(ready: "Ready", timeline: Timeline) -> None:
        """Tell a run which rows run at which step."""
        call = ready.call
        if timeline.lengths is not None and timeline.order is not None:
            call.lengths, call.order = address_of(timeline.lengths), address_of(timeline.order)
        if timeline.reset is not None:
            call.reset = address_of(timeline.reset)

    @staticmethod
    def place(ready: "Ready", room: Tensor) -> None:
        """Give a run its room, of at least `ready.room` bytes."""
        call, (packed_bytes, workspace_bytes, _) = ready.call, ready.sizes
        call.packed = aligned(room.data_ptr())
        call.workspace = aligned(call.packed + packed_bytes)
        call.scratch = aligned(call.workspace + workspace_bytes)

    def _columns(self, name: str, matrices: Sequence[Matrix]) -> "ctypes.Array[ctypes.c_int64]":
        """Return column blocks as the numbers of `Matrix` in headers/product.h: address and strides of each."""
        size = self.dtype.itemsize
        numbers: list[int] = []
        for k, transposed, column in self.source.columns[name]:
            matrix = matrices[k].transposed if transposed else matrices[k]
            address = matrix.location + column * matrix.column_stride * size
            numbers += (address, matrix.row_stride, matrix.column_stride)
        return (ctypes.c_int64 * max(1, len(numbers)))(*numbers)

    def _room(self, name: str, call: _Call) -> tuple[int, int]:
        """Return the values of packed columns, and the bytes of scratch memory of one thread."""
        key = (name, call.batch, call.unit_threads, call.team.threads, call.packs)
        known = self._known_rooms.get(key)
        if known is None:
            values, bytes_ = ctypes.c_int64(), ctypes.c_int64()
            self._rooms[name](ctypes.byref(call), ctypes.byref(values), ctypes.byref(bytes_))
            known = self._known_rooms[key] = (values.value, bytes_.value)
        return known


def stretch(steps: int, batch: int) -> int:
    """Return for how many steps whole products are done, mostly of no more rows than a packed block is deep."""
    fitting = ROWS_OF_STRETCH // max(1, batch)
    enough = fitting * batch >= ROWS_OF_STRETCH * 3 // 4
    return max(1, min(steps, fitting if enough else fitting + 1))


def _are_contiguous(columns: "ctypes.Array[ctypes.c_int64]") -> bool:
    """Tell whether each of these matrices is contiguous in one direction, by its strides."""
    return all(1 in strides for strides in zip(columns[1::3], columns[2::3], strict=True))


def aligned(address: int) -> int:
    """Return the next address, or number of bytes, that is a multiple of a cache line's."""
    return (address + LINE - 1) // LINE * LINE
