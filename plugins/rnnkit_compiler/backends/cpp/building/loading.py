"""The loading: a library comes into this process by its bytes, wherever there is a place that it can be loaded from.

It is loaded from a copy that nobody else can reach, so that what was checked is what runs. Each copy has a name of its
own, since the system's loader takes a name that it knows for the same library.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from rnnkit_compiler.backends.cpp.building.cache import cache_folder, stored_library
from rnnkit_compiler.backends.cpp.building.temporary import temporary_folder

_numbers = count(1)


def load(library: bytes, key: str) -> ctypes.CDLL:
    """Load a library.

    Copies are tried first, in memory and in two folders: a folder may be full, forbid to run what lies in it, or take
    no files that large. Last, the library that is stored under `key` is loaded where it lies, if it is the same.

    Raises:
        OSError: it cannot be loaded from anywhere; the reason is that of the first place.
    """
    first: OSError | None = None
    for load_from in _places(library, key):
        try:
            return load_from()
        except OSError as error:
            first = first or error
    assert first is not None
    raise first


def _places(library: bytes, key: str) -> Iterator[Callable[[], ctypes.CDLL]]:
    if hasattr(os, "memfd_create"):
        yield lambda: _from_memory(library)
    yield lambda: _from_folder(library, None)
    yield lambda: _from_folder(library, cache_folder())
    yield lambda: _from_cache(library, key)


def _from_memory(library: bytes) -> ctypes.CDLL:
    """Load from memory that has no place among the files, so that no folder is in the way."""
    descriptor = os.memfd_create("rnnkit-kernel", os.MFD_CLOEXEC)
    with open(descriptor, "wb") as file:
        file.write(library)
        file.flush()
        return _by_descriptor(descriptor)


def _from_folder(library: bytes, within: Path | None) -> ctypes.CDLL:
    with temporary_folder(within) as folder:
        path = folder / "kernel.so"
        path.write_bytes(library)
        return ctypes.CDLL(str(path))


def _from_cache(library: bytes, key: str) -> ctypes.CDLL:
    """Load the stored file itself: of its owner's alone, and found once more to be what was checked."""
    with stored_library(key) as file:
        if file.read() != library:
            raise FileNotFoundError("no kernel is stored")
        return _by_descriptor(file.fileno())


def _by_descriptor(descriptor: int) -> ctypes.CDLL:
    """Load an open file. Descriptors come again; a spelling of the path does not."""
    spelling = f"{next(_numbers):b}".replace("0", "/").replace("1", "./")
    return ctypes.CDLL(f"/proc/self/fd/{spelling}{descriptor}")
