"""Recycled memory: large tensors on memory that nobody else holds any more.

Fresh memory costs a page fault for every 4 KiB that is touched, which for tensors of tens of megabytes takes longer
than what is computed on them. Memory comes back by itself: it is free as soon as only this pool refers to its storage,
so that a tensor that a user, autograd or an optimiser keeps is never overwritten.

A storage is used once. What comes back is its memory alone, in a new storage: whoever looks for the old one by a weak
reference finds it empty. Memory that a storage left, or came to, while it was out of sight (it was shared with another
process, resized, swapped) does not come back.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from operator import attrgetter
from sys import getrefcount

import torch
from torch import Tensor, UntypedStorage

from rnnkit_compiler._forks import fork_safe_lock
from rnnkit_compiler.backends.base.runtime import sizes

SMALL = 1 << 20
"""Bytes below which torch's own allocator does as well."""

IDLE = 64
"""Requests after which memory that was not used goes back to the system."""

MOST = 256
"""Storages that are watched; beyond, the least recently used is left to whoever holds it."""

MOST_SCRATCH = 4 << 20
"""Bytes of scratch memory up to which it is kept for the next call."""

MOST_CALLS = 8
"""Pieces of scratch memory that are kept."""

count_users = getattr(torch._C, "_storage_Use_Count", None) or (lambda pointer: 0)

TELLS_HOLDERS = hasattr(torch._C, "_storage_Use_Count")
"""Whether this torch tells how many hold a storage; without, nothing is recycled."""

MOVES = hasattr(UntypedStorage, "_swap_data_ptr_")
"""Whether this torch moves memory to another storage; without, the storage itself is used again."""


class _Entry:
    """A storage that is watched, and what it was when only the pool knew it."""

    __slots__ = ("_address", "_alone", "_pointer", "last", "size", "storage")

    def __init__(self, size: int) -> None:
        self.size, self.last = size, 0
        self.storage = _storage(size)
        self._watch()

    def _watch(self) -> None:
        self._pointer, self._address = self.storage._cdata, self.storage.data_ptr()
        # Python counts who holds the storage's object; torch counts tensors, views, saved tensors and arrays.
        self._alone = getrefcount(self.storage), count_users(self._pointer)

    @property
    def is_held(self) -> bool:
        """Whether anyone but the pool holds the storage."""
        objects, all_of_them = self._alone
        return getrefcount(self.storage) != objects or count_users(self._pointer) != all_of_them

    @property
    def is_as_made(self) -> bool:
        """Whether the storage still lies in the memory that it was made with, and in all of it.

        It does not once it was shared with another process, resized, swapped or cloned lazily.
        """
        storage = self.storage
        return storage.nbytes() == self.size and not storage.is_shared() and storage.data_ptr() == self._address

    def renew(self) -> None:
        """Move the memory to a new storage; nobody may hold the old one."""
        if MOVES:
            used, self.storage = self.storage, _storage(0)
            self.storage._swap_data_ptr_(used)  # type: ignore[attr-defined]
            self._watch()


_size = attrgetter("size")


def _storage(size: int) -> UntypedStorage:
    return UntypedStorage(size, device="cpu")  # type: ignore[no-untyped-call]


class Workspace:
    """A pool of memory; any thread may ask."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []  # the least recently used first
        self._requests = 0
        self._lock = fork_safe_lock()

    def take(self, shape: Sequence[int], dtype: torch.dtype, exact: bool = False) -> Tensor:
        """Return a contiguous tensor on the CPU; what is in it is undefined.

        It lies on memory of its own size if `exact`: what a user may save to a file, storage and all.
        """
        size = prod(shape) * dtype.itemsize
        if size < SMALL or not TELLS_HOLDERS:
            return torch.empty(shape, dtype=dtype, device="cpu")
        with self._lock:
            return _placed(self._find(size, exact).storage, 0, shape, dtype)

    def allocator(self, shape: Sequence[int], dtype: torch.dtype, exact: bool = False) -> Callable[[], Tensor]:
        """Return what takes such a tensor at each call; see `take`."""
        if prod(shape) * dtype.itemsize < SMALL or not TELLS_HOLDERS:
            return partial(torch.empty, *sizes(shape), dtype=dtype, device="cpu")
        return partial(self.take, shape, dtype, exact)

    def release(self) -> None:
        """Return to the system what nobody holds."""
        with self._lock:
            self._entries = [entry for entry in self._entries if entry.is_held]

    def _find(self, size: int, exact: bool) -> _Entry:
        """Return the entry of a storage of at least `size` bytes that nobody holds."""
        self._requests += 1
        entry = self._free(size, size if exact else 2 * size)
        if entry is None:
            self._forget()
            entry = _Entry(size)
        else:
            self._entries.remove(entry)
            entry.renew()
        entry.last = self._requests
        self._entries.append(entry)
        return entry

    def _free(self, size: int, most: int) -> _Entry | None:
        """Return the smallest entry that is free and of `size` to `most` bytes; None: there is none."""
        fits = [entry for entry in self._entries if size <= entry.size <= most]
        fits.sort(key=_size)
        for entry in fits:
            if entry.is_held:
                continue
            if entry.is_as_made:
                return entry
            self._entries.remove(entry)
        return None

    def _forget(self) -> None:
        """Release what was not used for long, unless somebody holds it, and what is beyond the most."""
        kept = [entry for entry in self._entries if self._requests - entry.last < IDLE or entry.is_held]
        self._entries = kept[-(MOST - 1) :]


def _placed(storage: UntypedStorage, start: int, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    fresh = torch.empty(0, dtype=dtype, device="cpu")
    return fresh.set_(storage, start, tuple(shape))  # type: ignore[call-overload, no-any-return]


class Scratch:
    """Memory for the time of one call; any thread may ask."""

    def __init__(self) -> None:
        self._free: list[Tensor] = []

    def borrow(self, size: int) -> Tensor:
        """Return so many bytes, or more; what is in them is undefined."""
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
        """Return to the system what is not borrowed."""
        self._free.clear()


shared = Workspace()
scratch = Scratch()
