"""Torch's random states while a cell is tried: what is drawn then must not be missing from the caller's draws."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def kept(like: Tensor) -> AbstractContextManager[None]:
    """Return what puts back the random states of the CPU, and of the device that a tensor is on, when it is left."""
    if like.device.type in ("cpu", "meta"):
        return torch.random.fork_rng(devices=[])
    return torch.random.fork_rng(devices=[like.device], device_type=like.device.type)
