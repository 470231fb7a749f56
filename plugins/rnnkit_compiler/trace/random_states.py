"""Random states while a cell is tried: what is drawn then must not be missing from the caller's draws."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


@contextmanager
def kept(like: Tensor) -> Iterator[None]:
    """Put back on leaving the random states of Python, NumPy, torch's CPU, and the device that a tensor is on."""
    device = like.device
    there = {"devices": []} if device.type in ("cpu", "meta") else {"devices": [device], "device_type": device.type}
    pythons, numpys = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(**there):
            yield
    finally:
        random.setstate(pythons)
        np.random.set_state(numpys)
