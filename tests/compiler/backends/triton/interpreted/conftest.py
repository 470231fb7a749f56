"""The suite of interpreted kernels: in a process of its own, where Triton interprets what it else compiles."""

import math

import pytest
import torch

from rnnkit_compiler.backends.triton import availability, runtime, trust


def pytest_collection_modifyitems(items):
    """Skip all of this folder where kernels cannot be interpreted, and say why."""
    reason = "Triton is not installed" if availability.triton_version() is None else ""
    if not reason and not availability.is_interpreted():
        reason = f"{availability.INTERPRET}=1 is not in the environment: make test has a run with it"
    for item in items if reason else ():
        if item.path.parent.name == "interpreted":
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def trusted(monkeypatch):
    """Use kernels without a trial: who holds them to the loop needs none."""
    monkeypatch.setattr(trust.Trust, "is_earned", lambda self, *given: True)


@pytest.fixture
def poisoned(monkeypatch):
    """Fill the memory that kernels are given with NaN: what reads it before it was written is found out."""

    def allocate(self, shape, dtype, exact=False):
        numbers = torch.empty(shape, dtype=dtype, device=self.device)
        return numbers.fill_(math.nan) if dtype.is_floating_point else numbers.fill_(255)  # 255 by 255 is a NaN as well

    monkeypatch.setattr(runtime.TritonRuntime, "allocate", allocate)
