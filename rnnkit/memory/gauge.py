"""How much memory is in use, and how much may yet be taken."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from threading import Event, Thread
from typing import TypeAlias

import torch

from rnnkit.errors import ResourceError

Gauge: TypeAlias = Callable[[], int]
"""Tells the bytes in use on a device."""

PROBE = 1 << 20
MALLINFO = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)
CGROUPS = Path("/sys/fs/cgroup")


class _Mallinfo(ctypes.Structure):
    """Mirrors `struct mallinfo2` of glibc."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in MALLINFO)


def gauge_of(device: torch.device) -> Gauge | None:
    """Return the gauge of a device; None where there is none: on the CPU it is glibc's, which other libraries lack.

    On the CPU it counts all that the process has from the C library, on others torch's tensors.
    """
    if device.type == "cpu":
        return _heap()
    return partial(torch.get_device_module(device).memory_allocated, device)


@cache
def _heap() -> Gauge | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(library, "mallinfo2"):
        return None
    mallinfo = library.mallinfo2  # type: ignore[union-attr]
    mallinfo.restype = _Mallinfo

    def in_use() -> int:
        counts = mallinfo()
        return int(counts.uordblks + counts.hblkhd)

    before = in_use()
    probe = torch.empty(PROBE, dtype=torch.uint8, device="cpu")
    seen = in_use() - before
    return in_use if probe.nbytes <= seen else None  # otherwise torch's tensors come from another allocator


class Watch:
    """The most in use on the CPU while it is entered, above what was before: a thread looks all the time.

    Unlike trials it measures what really runs, at its full size; what comes and goes within a look's time it misses.
    """

    EVERY = 1e-4

    def __init__(self) -> None:
        gauge = _heap()
        if gauge is None:
            raise ResourceError("memory in use can be watched with glibc alone")
        self.gauge, self.most = gauge, 0
        self._ended = Event()

    def __enter__(self) -> "Watch":
        self._before, self._interval = self.gauge(), sys.getswitchinterval()
        sys.setswitchinterval(self.EVERY)
        self._thread = Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        sys.setswitchinterval(self._interval)

    def _look(self) -> None:
        while not self._ended.wait(self.EVERY):
            self.most = max(self.most, self.gauge() - self._before)


def available_memory(device: torch.device | str = "cpu") -> int | None:
    """Return the bytes that this process may yet take on a device; None where nothing tells.

    On the CPU the least of what the system has available, what is left of the limits of its control groups (versions 1
    and 2), and what is left of its address space. On CUDA what the driver has free and torch holds unused.
    """
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    limits = [*_of_the_system(), *_of_control_groups(), *_of_address_space()]
    return max(0, min(limits)) if limits else None


def _of_the_system() -> Iterator[int]:
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _of_control_groups() -> Iterator[int]:
    """Yield what is left under each limit: the group's own, and those of all groups around it."""
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = CGROUPS / "memory" if controllers else CGROUPS
        names = ("limit_in_bytes", "usage_in_bytes") if controllers else ("max", "current")
        here = Path(path.lstrip("/"))
        for folder in (top / here, *(top / parent for parent in here.parents)):
            limit, used = (_read(folder / f"memory.{name}").strip() for name in names)
            if limit.isdecimal() and used.isdecimal():
                yield int(limit) - int(used) + _inactive(folder)


def _inactive(folder: Path) -> int:
    """Return the bytes of files that a group has read and that make room when it is needed."""
    for line in _read(folder / "memory.stat").splitlines():
        if line.startswith(("total_inactive_file ", "inactive_file ")):
            return int(line.split()[1])
    return 0


def _of_address_space() -> Iterator[int]:
    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _read(Path("/proc/self/statm")).split()
    if limit != resource.RLIM_INFINITY and pages:
        yield limit - int(pages[0]) * resource.getpagesize()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
