"""A kernel that is loaded: from addresses and sizes to its C interface."""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.native.library import library_of
from rnnkit_compiler.native.source import Source
from rnnkit_compiler.native.team import Team, team_of
from rnnkit_compiler.native.workspace import shared
from rnnkit_compiler.run.backend import Sequences

KERNELS = ("Forward", "Inference", "Backward")


class _Call(ctypes.Structure):
    """Mirrors `Call` in cpp/kernel.h."""

    _fields_ = (
        ("steps", ctypes.c_int64),
        ("batch", ctypes.c_int64),
        ("sizes", ctypes.c_void_p),
        ("numbers", ctypes.c_void_p),
        ("buffers", ctypes.c_void_p),
        ("sources", ctypes.c_void_p),
        ("functions", ctypes.c_void_p),
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


class _Gate(ctypes.Structure):
    """Mirrors `Source` in cpp/kernel.h."""

    _fields_ = (("data", ctypes.c_void_p), ("rs", ctypes.c_int64), ("cs", ctypes.c_int64))


class Matrix(NamedTuple):
    """An invariant matrix (K, N) in memory."""

    address: int
    row_stride: int
    """In elements, as the next."""

    column_stride: int


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
        self._products = library_of(dtype).functions
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
        """
        pointers = self._pointers(*map(addresses.get, self.source.buffers))
        gates = self._gates(name, matrices)
        call = _Call(sequences.steps, sequences.batch)
        call.sizes, call.numbers = ctypes.addressof(self._sizes), ctypes.addressof(self._numbers)
        call.buffers, call.sources = ctypes.addressof(pointers), ctypes.addressof(gates)
        call.functions = ctypes.addressof(self._products)
        call.slots, call.y_apart, call.unit_threads = slots, y_apart, shares.units
        call.order, call.lengths, call.reset = map(_address, (sequences.order, sequences.lengths, sequences.reset))
        call.team = team_of(shares.threads)
        values, scratch_bytes = self._room(name, call)
        packed_bytes = values * self.dtype.itemsize
        room = shared.take((packed_bytes + scratch_bytes * shares.threads + 128,), torch.uint8)
        call.packed = _aligned(room.data_ptr())
        call.scratch = _aligned(call.packed + packed_bytes)
        self._functions[name](ctypes.byref(call))

    def _gates(self, name: str, matrices: Sequence[Matrix]) -> "ctypes.Array[_Gate]":
        size = self.dtype.itemsize
        found = []
        for k, turned, column in self.source.gates[name]:
            address, rows, columns = matrices[k]
            if turned:
                rows, columns = columns, rows
            found.append(_Gate(address + column * columns * size, rows, columns))
        return (_Gate * max(1, len(found)))(*found)

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
    return None if tensor is None else tensor.data_ptr()


def _aligned(address: int) -> int:
    return (address + 63) // 64 * 64
