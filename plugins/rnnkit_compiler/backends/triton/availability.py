"""Whether kernels of Triton can be had: it is installed, and compiles for a GPU or interprets on a CPU."""

import os
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import torch

INTERPRET = "TRITON_INTERPRET"
"""The variable of Triton's own by which it interprets kernels on CPU tensors; read when it is imported."""

GPUS = ("cuda",)
"""Types of devices that it compiles for: torch calls AMD's so, too."""


@cache
def triton_version() -> str | None:
    """Return the version of Triton; None: it is not installed."""
    if find_spec("triton") is None:
        return None
    for distribution in ("triton", "pytorch-triton", "pytorch-triton-rocm", "triton-windows"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "of unknown version"


def is_interpreted() -> bool:
    """Tell whether kernels are interpreted, if Triton is imported now."""
    return os.environ.get(INTERPRET, "") in ("1", "true", "yes", "on", "y")


def obstacle_on(device: torch.device) -> str:
    """Say why there are no kernels on a device; empty: there are."""
    if device.type not in (*GPUS, "cpu"):
        return f"Triton compiles for CUDA and ROCm, and there is a tensor on {device}"
    if triton_version() is None:
        return "Triton is not installed: pip install 'rnnkit[triton]'"
    if device.type == "cpu" and not is_interpreted():
        return f"Triton's kernels run on GPUs, and there is a tensor on cpu ({INTERPRET}=1 has them interpreted there)"
    if device.type != "cpu" and is_interpreted():
        return f"{INTERPRET} is set, so Triton's kernels are interpreted, and there is a tensor on {device}"
    return ""
