"""A kernel that is loaded: from addresses and sizes to its C interface."""

import ctypes
from collections.abc import Sequence

import torch

from rnnkit_compiler.backends.base.runtime import Launch, Matrix
from rnnkit_compiler.backends.cpp.boundary import address_of
from rnnkit_compiler.backends.cpp.code.kernel_source import Source
from rnnkit_compiler.backends.cpp.library import library_of
from rnnkit_compiler.backends.cpp.thread_pool import ThreadPool, thread_pool_of
from rnnkit_compiler.backends.cpp.whole_products import Multiply
from rnnkit_compiler.backends.cpp.workspace import scratch


class _Call(ctypes.Structure):
    """Mirrors `Call` in headers/kernel.h, which says what each field means."""

    _fields_ = (
        ("steps", ctypes.c_int64),
        ("batch", ctypes.c_int64),
        ("sizes", ctypes.c_void_p),
        ("numbers", ctypes.c_void_p),
        ("contractions", ctypes.c_void_p),
        ("buffers", ctypes.c_void_p),
        ("gates", ctypes.c_void_p),
        ("functions", ctypes.c_void_p),
        ("before", ctypes.c_void_p),
        ("after", ctypes.c_void_p),
        ("before_count", ctypes.c_int64),
        ("after_count", ctypes.c_int64),
        ("workspace", ctypes.c_void_p),
        ("packed", ctypes.c_void_p),
        ("scratch", ctypes.c_void_p),
        ("slots", ctypes.c_int64),
        ("y_apart", ctypes.c_int64),
        ("order", ctypes.c_void_p),
        ("lengths", ctypes.c_void_p),
        ("reset", ctypes.c_void_p),
        ("unit_threads", ctypes.c_int64),
        ("team", ThreadPool),
    )


class Kernel:
    """The functions of one generated library, and what its numbered arguments stand for."""

    def __init__(self, library: ctypes.CDLL, source: Source, dtype: torch.dtype, narrow: bool) -> None:
        self._library = library  # which holds the functions in memory
        self._functions = {name: getattr(library, name.lower()) for name in source.columns}
        self._rooms = {name: getattr(library, f"{name.lower()}_room") for name in source.columns}
        for function in (*self._functions.values(), *self._rooms.values()):
            function.restype = None
        self.source = source
        self.dtype = dtype
        real = ctypes.c_double if dtype == torch.float64 else ctypes.c_float
        self._numbers = (real * max(1, len(source.numbers)))(*source.numbers)
        self._sizes = (ctypes.c_int64 * max(1, len(source.sizes)))(*source.sizes)
        self._contractions = (ctypes.c_int64 * max(1, len(source.contractions)))(*source.contractions)
        products = library_of(dtype, narrow)
        self._workspace, self._products = products.workspace, products.functions
        self._pointers = ctypes.c_void_p * max(1, len(source.buffers))
        self._template = _Call(
            sizes=ctypes.addressof(self._sizes),
            numbers=ctypes.addressof(self._numbers),
            contractions=ctypes.addressof(self._contractions),
            functions=ctypes.addressof(self._products),
        )
        """What is the same at every call; null where nothing else is said."""
        self._known_rooms: dict[tuple[str, int, int], tuple[int, int]] = {}

    def run(self, launch: Launch) -> None:
        """Run one of the functions over all steps."""
        name, timeline, products = launch.kernel, launch.timeline, launch.products
        pointers = self._pointers(*map(launch.locations.get, self.source.buffers))
        columns, count = self._columns(name, launch.matrices), len(products)
        descriptions = (Multiply * count)(*products)
        call = _Call.from_buffer_copy(self._template)
        call.steps, call.batch = timeline.steps, timeline.batch
        call.buffers, call.gates = ctypes.addressof(pointers), ctypes.addressof(columns)
        call.slots, call.y_apart = launch.slots, launch.writes_y
        call.unit_threads, call.team = launch.shares.units, thread_pool_of(launch.shares.workers)
        if timeline.lengths is not None and timeline.order is not None:
            call.lengths, call.order = address_of(timeline.lengths), address_of(timeline.order)
        if timeline.reset is not None:
            call.reset = address_of(timeline.reset)
        if name == "Backward":
            call.after, call.after_count = ctypes.addressof(descriptions), count
        else:
            call.before, call.before_count = ctypes.addressof(descriptions), count
        packed_values, scratch_bytes = self._room(name, call)
        packed_bytes, workspace_bytes = packed_values * self.dtype.itemsize, 0
        if count:
            workspace_bytes = self._workspace * launch.shares.workers * self.dtype.itemsize
        room = scratch.borrow(packed_bytes + workspace_bytes + scratch_bytes * launch.shares.workers + 192)
        call.packed = _aligned(room.data_ptr())
        call.workspace = _aligned(call.packed + packed_bytes)
        call.scratch = _aligned(call.workspace + workspace_bytes)
        self._functions[name](ctypes.byref(call))
        scratch.give_back(room)

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
        key = (name, call.batch, call.unit_threads)
        known = self._known_rooms.get(key)
        if known is None:
            values, bytes_ = ctypes.c_int64(), ctypes.c_int64()
            self._rooms[name](ctypes.byref(call), ctypes.byref(values), ctypes.byref(bytes_))
            known = self._known_rooms[key] = (values.value, bytes_.value)
        return known


def _aligned(address: int) -> int:
    return (address + 63) // 64 * 64
