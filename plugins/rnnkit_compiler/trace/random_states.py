"""Random states while a cell is tried: what is drawn then must not be missing from the caller's draws."""

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch
from torch import Tensor

DRAWING = frozenset(("random", "numpy"))
"""Packages that draw random numbers which are not torch's."""


def kept(like: Tensor) -> AbstractContextManager[None]:
    """Return what puts back the random states of the CPU, and of the device that a tensor is on, when it is left."""
    if like.device.type in ("cpu", "meta"):
        return torch.random.fork_rng(devices=[])
    return torch.random.fork_rng(devices=[like.device], device_type=like.device.type)


@contextmanager
def others_kept() -> Iterator[None]:
    """Put back the random states of Python and NumPy: for a step that draws there, as other threads may do, too."""
    pythons, numpys = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(pythons)
        np.random.set_state(numpys)
