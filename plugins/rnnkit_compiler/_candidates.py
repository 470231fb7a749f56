"""Backends: which there are, in which order they are asked, and what a user wants of them."""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import NamedTuple

import torch

from rnnkit.errors import UsageError
from rnnkit_compiler.backends.base.backend import Backend
from rnnkit_compiler.backends.cpp.backend import Cpp
from rnnkit_compiler.backends.torch.backend import TorchOperations
from rnnkit_compiler.backends.triton.backend import Triton

BACKENDS: tuple[type[Backend], ...] = (Cpp, Triton, TorchOperations)
"""What may run the steps, in the order in which they are asked. The last one takes whatever can be recorded."""


class Wanted(NamedTuple):
    """What the user asks for."""

    backend: str | None = None
    """By name; None: the first that takes the step."""

    kernel: str | None = None
    """Which of the backend's kinds of kernels; None: it chooses."""


ANY = Wanted()


def checked(backend: str | None, kernel: str | None) -> Wanted:
    """Return what is asked for; raises UsageError where there is no such thing."""
    kinds = {candidate.name: candidate.kernels for candidate in BACKENDS}
    if backend not in (None, *kinds):
        raise UsageError(f"unroller 'compiled': backend is {backend!r}; it must be one of {', '.join(kinds)}, or None")
    if kernel is not None and kernel not in kinds.get(backend or "", ()):
        has = [f"backend={name!r} has {', '.join(own)}" for name, own in kinds.items() if own]
        raise UsageError(f"unroller 'compiled': kernel={kernel!r} with backend={backend!r}; {'; '.join(has)}")
    return Wanted(backend, kernel)


@cache
def candidates(backend: str | None) -> tuple[type[Backend], ...]:
    """List the backends that are asked: all, or the one that is wanted and the last one, whose plan tells why not."""
    wanted = [c for c in BACKENDS if backend == c.name or (backend is None and c.volunteers())]
    return tuple(dict.fromkeys([*wanted, BACKENDS[-1]]))


def who_runs(device: torch.device) -> str:
    """Say which backend is the first to take cells on a device; of the last one, why none before it does."""
    *kernels, last = candidates(None)
    reasons = []
    for candidate in kernels:
        reason = candidate.supports(None, device, torch.float32)
        if not reason:
            return candidate.name
        reasons.append(reason)
    return f"{last.name}, or the loop: {'; '.join(reasons)}"


def fast_products(multiplications: int) -> AbstractContextManager[object]:
    """Return what makes a projection fast while it is entered: of the first backend that has something."""
    for candidate in BACKENDS:
        products = candidate.fast_products(multiplications)
        if products is not None:
            return products
    return nullcontext()
