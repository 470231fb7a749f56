"""The machine: how fast it multiplies matrices, how much memory is resident, how its allocator behaves."""

import ctypes
import platform
import re
import sys
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from rnnkit.benchmark.clock import WALL, clock_of
from rnnkit.benchmark.workload import CPU
from rnnkit.errors import ResourceError

PRODUCT, PRODUCT_ON_DEVICES = 1024, 8192
"""Rows, columns and depth of the product that the peak is measured by: on the CPU, and what keeps a GPU busy."""

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = -1

DRIVERS = (Path("/sys/module/nvidia/version"), Path("/sys/module/amdgpu/version"))
TRITON = ("triton", "pytorch-triton", "pytorch-triton-rocm")
"""Distributions by which it may have come."""


def product_peak(dtype: torch.dtype, repeats: int = 15, device: torch.device = CPU) -> float:
    """Measure floating-point operations a second of the best matrix product that torch offers, with its threads."""
    side, clock = PRODUCT if device.type == "cpu" else PRODUCT_ON_DEVICES, clock_of(device)
    a, b = (torch.randn(side, side, dtype=dtype, device=device) for _ in range(2))
    products = _products(dtype, device)
    best = min(min(clock.take(lambda f=f: f(a, b)).seconds for _ in range(repeats)) for f in products)  # type: ignore[misc]
    return 2 * side**3 / best


def _products(dtype: torch.dtype, device: torch.device) -> list[Callable[[Tensor, Tensor], Tensor]]:
    """Return the ways to a matrix product: BLAS, and on the CPU for float32 oneDNN, which often is the faster one."""
    products: list[Callable[[Tensor, Tensor], Tensor]] = [torch.mm]
    if device.type != "cpu":
        return products
    if dtype == torch.float32 and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        fused = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
        if fused is not None:
            products.append(lambda a, b: fused(a, b, None, "none", [], ""))
    return products


def seconds_of(function: Callable[[], object]) -> float:
    """Time one call."""
    return WALL.take(function).seconds


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


def machine(device: torch.device = CPU) -> dict[str, str | int]:
    """Name what is measured on: the processor, and the device if it is another."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "system": platform.system(),
        **({} if device.type == "cpu" else _of_device(device)),
    }


def _of_device(device: torch.device) -> dict[str, str | int]:
    """Name a device, its driver, and what is between that and torch."""
    if device.type != "cuda":
        return {"device": device.type}
    found: dict[str, str | int | None] = {
        "device": torch.cuda.get_device_name(device),
        "driver": next((path.read_text().strip() for path in DRIVERS if path.is_file()), None),
        "ROCm" if torch.version.hip else "CUDA": torch.version.hip or torch.version.cuda,
        "MIOpen" if torch.version.hip else "cuDNN": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "Triton": next((metadata.version(name) for name in TRITON if find_spec("triton") and _has(name)), None),
    }
    return {name: "unknown" if fact is None else fact for name, fact in found.items()}


def _has(distribution: str) -> bool:
    try:
        return bool(metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return False
