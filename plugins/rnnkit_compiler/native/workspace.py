"""Recycled memory: large tensors on storage that nobody else holds any more.

Fresh memory costs a page fault for every 4 KiB that is touched, which for tensors of tens of megabytes takes longer
than what is computed on them. Storage comes back by itself: it is free as soon as only this pool refers to it, so that
a tensor that a user, autograd or an optimiser keeps is never overwritten.
"""

import threading
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

SMALL = 1 << 20
"""Bytes below which torch's own allocator does as well."""

IDLE = 64
"""Requests after which storage that was not used goes back to the system."""

OWN = 2
"""References to a storage of which only the pool knows: its tensor's, and that of the look itself."""


MOST_SCRATCH = 4 << 20
"""Bytes of scratch memory up to which it is kept for the next call."""

MOST_CALLS = 8
"""Pieces of scratch memory that are kept."""


class _Entry:
    __slots__ = ("last", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.last = tensor, 0

    @property
    def is_free(self) -> bool:
        return torch._C._storage_Use_Count(self.tensor.untyped_storage()._cdata) <= OWN


class Workspace:
    """A pool of storage; any thread may ask."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._requests = 0
        self._lock = threading.Lock()

    def take(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Give a contiguous tensor on the CPU; what is in it is undefined."""
        size = prod(shape) * dtype.itemsize
        if size < SMALL or not hasattr(torch._C, "_storage_Use_Count"):
            return torch.empty(shape, dtype=dtype, device="cpu")
        with self._lock:
            return on_storage(self._find(size), 0, shape, dtype)

    def release(self) -> None:
        """Give back what nobody holds."""
        with self._lock:
            self._entries = [entry for entry in self._entries if not entry.is_free]

    def _find(self, size: int) -> Tensor:
        self._requests += 1
        fits = [entry for entry in self._entries if size <= entry.tensor.nbytes <= 2 * size]
        for entry in sorted(fits, key=lambda entry: entry.tensor.nbytes):
            if entry.is_free:
                entry.last = self._requests
                return entry.tensor
        self._entries = [entry for entry in self._entries if self._requests - entry.last < IDLE or not entry.is_free]
        entry = _Entry(torch.empty(size, dtype=torch.uint8, device="cpu"))
        entry.last = self._requests
        self._entries.append(entry)
        return entry.tensor


def on_storage(tensor: Tensor, start: int, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Give a contiguous tensor on the storage of another one, from element `start` on; for autograd it is no view."""
    fresh = torch.empty(0, dtype=dtype, device="cpu")
    return fresh.set_(tensor.untyped_storage(), start, tuple(shape))  # type: ignore[call-overload, no-any-return]


class Scratch:
    """Memory for the time of one call; any thread may ask."""

    def __init__(self) -> None:
        self._free: list[Tensor] = []

    def borrow(self, size: int) -> Tensor:
        """Give so many bytes, or more; what is in them is undefined."""
        if size > MOST_SCRATCH:
            return shared.take((size,), torch.uint8)
        try:
            room = self._free.pop()
        except IndexError:
            room = None
        return torch.empty(size, dtype=torch.uint8, device="cpu") if room is None or room.nbytes < size else room

    def give_back(self, room: Tensor) -> None:
        """Take back what was borrowed."""
        if room.nbytes <= MOST_SCRATCH and len(self._free) < MOST_CALLS:
            self._free.append(room)

    def release(self) -> None:
        """Give back what is not borrowed."""
        self._free.clear()


shared = Workspace()
scratch = Scratch()
