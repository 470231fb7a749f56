"""Memory of kernels that holds no number: whatever they read without having written it shows."""

import pytest
import torch

from rnnkit_compiler.backends.cpp import workspace


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Fill with NaN what kernels are given to write into."""
    for pool, method in ((workspace.shared, "take"), (workspace.scratch, "borrow")):
        monkeypatch.setattr(pool, method, poisoning(getattr(pool, method)))


def poisoning(taken):
    def take(*arguments, **options):
        memory = taken(*arguments, **options)
        memory.view(-1).view(torch.uint8).fill_(0xFF)  # a NaN in every format
        return memory

    return take
