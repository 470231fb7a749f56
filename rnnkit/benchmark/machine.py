"""The machine: how fast it multiplies matrices, how much memory is resident, how its allocator behaves."""

import ctypes
import platform
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from rnnkit.errors import ResourceError

PRODUCT = 1024
"""Rows, columns and depth of the product that the peak is measured by."""

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = -1


def product_peak(dtype: torch.dtype, repeats: int = 15) -> float:
    """Measure floating-point operations a second of the best matrix product that torch offers, with its threads."""
    a, b = (torch.randn(PRODUCT, PRODUCT, dtype=dtype) for _ in range(2))
    best = min(min(seconds_of(lambda f=f: f(a, b)) for _ in range(repeats)) for f in _products(dtype))  # type: ignore[misc]
    return 2 * PRODUCT**3 / best


def _products(dtype: torch.dtype) -> list[Callable[[Tensor, Tensor], Tensor]]:
    """Return the ways to a matrix product: BLAS, and for float32 oneDNN, which often is the faster one."""
    products: list[Callable[[Tensor, Tensor], Tensor]] = [torch.mm]
    if dtype == torch.float32 and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        fused = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
        if fused is not None:
            products.append(lambda a, b: fused(a, b, None, "none", [], ""))
    return products


def seconds_of(function: Callable[[], object]) -> float:
    """Time one call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def trim() -> None:
    """Give back what the C library keeps of freed memory, if it is glibc."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def count_peak_anew() -> bool:
    """Let the peak of resident memory count from here; False where there is no such switch."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def resident(field: str) -> int:
    """Read bytes of resident memory: "VmRSS" now, "VmHWM" at the peak."""
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) * 1024


def keep_memory() -> None:
    """Let the C library keep what is freed, for this process: then large tensors cost no page faults, after some calls.

    Raises:
        ResourceError: another C library than glibc, which has no such switch.
    """
    library = _glibc()
    if library is None:
        raise ResourceError("--allocator keep needs glibc; leave it out")
    library.mallopt(M_MMAP_MAX, 0)
    library.mallopt(M_TRIM_THRESHOLD, NEVER)


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "gnu_get_libc_version") else None


def machine() -> dict[str, str | int]:
    """Name what is measured on."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "system": platform.system(),
    }
