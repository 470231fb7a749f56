"""A kernel that is loaded: from addresses and sizes to its C interface."""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.backend import Sequences
from rnnkit_compiler.backends.cpp.boundary import address_of
from rnnkit_compiler.backends.cpp.code.source import Source
from rnnkit_compiler.backends.cpp.library import library_of
from rnnkit_compiler.backends.cpp.thread_pool import Team, team_of
from rnnkit_compiler.backends.cpp.whole_products import Matrix, Multiply, array_of
from rnnkit_compiler.backends.cpp.workspace import scratch

KERNELS = ("Forward", "Inference", "Backward")


class _Call(ctypes.Structure):
    """Mirrors `Call` in headers/kernel.h."""

    _fields_ = (
        ("steps", ctypes.c_int64),
        ("batch", ctypes.c_int64),
        ("sizes", ctypes.c_void_p),
        ("numbers", ctypes.c_void_p),
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
        ("team", Team),
    )


class Shares(NamedTuple):
    """How many threads, and how many of these share the units of a row instead of the rows."""

    threads: int
    units: int


class Kernel:
    """The three functions of one generated library, and what its numbered arguments stand for."""

    def __init__(self, library: ctypes.CDLL, source: Source, dtype: torch.dtype) -> None:
        self._library = library  # which holds the functions in memory
        self._functions = {name: getattr(library, name.lower()) for name in KERNELS}
        self._rooms = {name: getattr(library, f"{name.lower()}_room") for name in KERNELS}
        for function in (*self._functions.values(), *self._rooms.values()):
            function.restype = None
        self.source = source
        self.dtype = dtype
        real = ctypes.c_double if dtype == torch.float64 else ctypes.c_float
        self._numbers = (real * max(1, len(source.numbers)))(*source.numbers)
        self._sizes = (ctypes.c_int64 * max(1, len(source.sizes)))(*source.sizes)
        _, self._workspace, self._products = library_of(dtype)
        self._pointers = ctypes.c_void_p * max(1, len(source.buffers))
        self._known_rooms: dict[tuple[Any, ...], tuple[int, int]] = {}

    def run(
        self,
        name: str,
        sequences: Sequences,
        addresses: Mapping[str, int],
        matrices: Sequence[Matrix],
        shares: Shares,
        slots: int,
        y_apart: bool,
        before: Sequence[Multiply] = (),
        after: Sequence[Multiply] = (),
    ) -> None:
        """Run "Forward", "Inference" or "Backward" over all steps.

        Args:
            name: of the function.
            sequences: the rows.
            addresses: of contiguous memory, by the names in `source.buffers`; those not used may be missing.
            matrices: the invariant matrices.
            shares: of the threads.
            slots: of the state buffers.
            y_apart: whether the output is written to its own buffer.
            before: whole products that are done before the first step.
            after: and behind the last.
        """
        pointers = self._pointers(*map(addresses.get, self.source.buffers))
        gates, first, last = self._gates(name, matrices), array_of(before), array_of(after)
        call = _Call(
            *(sequences.steps, sequences.batch, ctypes.addressof(self._sizes), ctypes.addressof(self._numbers)),
            *(ctypes.addressof(pointers), ctypes.addressof(gates), ctypes.addressof(self._products)),
            *(ctypes.addressof(first), ctypes.addressof(last), len(before), len(after), None, None, None),
            *(slots, y_apart, _address(sequences.order), _address(sequences.lengths), _address(sequences.reset)),
            *(shares.units, team_of(shares.threads)),
        )
        packed_values, scratch_bytes = self._room(name, call)
        packed_bytes, workspace_bytes = packed_values * self.dtype.itemsize, 0
        if before or after:
            workspace_bytes = self._workspace * shares.threads * self.dtype.itemsize
        room = scratch.borrow(packed_bytes + workspace_bytes + scratch_bytes * shares.threads + 192)
        call.packed = _aligned(room.data_ptr())
        call.workspace = _aligned(call.packed + packed_bytes)
        call.scratch = _aligned(call.workspace + workspace_bytes)
        self._functions[name](ctypes.byref(call))
        scratch.give_back(room)

    def _gates(self, name: str, matrices: Sequence[Matrix]) -> "ctypes.Array[ctypes.c_int64]":
        """Give the gates as the numbers of `Matrix` in headers/product.h: address and strides of each."""
        size = self.dtype.itemsize
        found: list[int] = []
        for k, turned, column in self.source.gates[name]:
            matrix = matrices[k].turned if turned else matrices[k]
            strides = matrix.row_stride, matrix.column_stride
            found += (matrix.address + column * matrix.column_stride * size, *strides)
        return (ctypes.c_int64 * max(1, len(found)))(*found)

    def _room(self, name: str, call: _Call) -> tuple[int, int]:
        """Give the values of packed gates, and the bytes of scratch of one thread."""
        key = (name, call.batch, call.unit_threads)
        known = self._known_rooms.get(key)
        if known is None:
            values, scratch = ctypes.c_int64(), ctypes.c_int64()
            self._rooms[name](ctypes.byref(call), ctypes.byref(values), ctypes.byref(scratch))
            known = self._known_rooms[key] = (values.value, scratch.value)
        return known


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else address_of(tensor)


def _aligned(address: int) -> int:
    return (address + 63) // 64 * 64
