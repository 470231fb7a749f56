"""The team of threads that kernels run on: torch's own, so that no second pool competes with its spinning threads."""

import ctypes
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
    return torch.get_num_threads() if entry_points().parallel else 1


class Team(ctypes.Structure):
    """Mirrors `Team` in cpp/team.h."""

    _fields_ = (
        ("parallel", ctypes.c_void_p),
        ("number", ctypes.c_void_p),
        ("threads", ctypes.c_int),
        ("count", ctypes.c_void_p),
    )


def team_of(threads: int) -> Team:
    """Give a team of so many threads of torch's pool."""
    entry = entry_points()
    return Team(entry.parallel, entry.number, threads, entry.size)
