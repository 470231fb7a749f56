"""The threads that kernels run on: torch's own, so that no second pool competes with its spinning threads."""

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch


class EntryPoints(NamedTuple):
    """Addresses in the OpenMP runtime that torch has loaded; all 0: none was found, and kernels run on one thread."""

    parallel: int
    number: int
    size: int


@cache
def entry_points() -> EntryPoints:
    """Find the OpenMP runtime of this process by way of torch's own library."""
    libraries = sorted((Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*"))
    try:
        library = ctypes.CDLL(str(libraries[0]))
        functions = (library.GOMP_parallel, library.omp_get_thread_num, library.omp_get_num_threads)
    except (OSError, IndexError, AttributeError):
        return EntryPoints(0, 0, 0)
    return EntryPoints(*(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions))


def threads() -> int:
    """Tell how many threads a kernel may use."""
    if _pool.is_lost or not entry_points().parallel:
        return 1
    count = torch.get_num_threads()
    _pool.was_used |= count > 1
    return count


def thread_facts() -> str:
    """Tell how many threads a kernel may use, and why no more, for `rnnkit doctor`."""
    if _pool.is_lost:
        return "1: this process is a fork, without the threads of its parent"
    return str(threads()) if entry_points().parallel else "1: torch's OpenMP was not found"


class _Pool:
    """Whether torch's threads are still there.

    The child of a fork has one thread. OpenMP's runtime (GNU's) does not know that the others are gone, and would wait
    for them for ever, in torch's operations as in kernels. Nothing tells whether there were any.
    """

    def __init__(self) -> None:
        self.was_used = False
        """Whether kernels ran on several threads."""
        self.is_lost = self.is_told = False

    def lose(self) -> None:
        """In the child: run kernels on one thread; where there were several, torch's operations as well."""
        self.is_lost = True
        if self.was_used:
            self.tell()

    def tell(self) -> None:
        """Have torch's operations do without lost threads."""
        if self.is_lost and not self.is_told:
            self.is_told = True
            torch.set_num_threads(1)


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.lose)


def mind_forks() -> None:
    """In the child of a fork, have torch run on one thread, since the others are gone; elsewhere do nothing."""
    _pool.tell()


class ThreadPool(ctypes.Structure):
    """Mirrors `Team` in headers/team.h."""

    _fields_ = (
        ("parallel", ctypes.c_void_p),
        ("number", ctypes.c_void_p),
        ("threads", ctypes.c_int),
        ("count", ctypes.c_void_p),
    )


@cache
def thread_pool_of(threads: int) -> ThreadPool:
    """Return so many threads of torch's pool; one structure for all calls, which nobody changes."""
    entry = entry_points()
    return ThreadPool(parallel=entry.parallel, number=entry.number, threads=threads, count=entry.size)
