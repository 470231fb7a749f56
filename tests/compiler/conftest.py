"""Memory of kernels that holds no number: whatever they read without having written it shows; and what is recorded."""

from functools import wraps

import pytest
import torch

from rnnkit_compiler import _making
from rnnkit_compiler.backends.base.passes import Pass
from rnnkit_compiler.backends.cpp import workspace


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Fill with NaN what kernels are given to write into."""
    for pool, method in ((workspace.shared, "take"), (workspace.scratch, "borrow")):
        monkeypatch.setattr(pool, method, poisoning(getattr(pool, method)))
    monkeypatch.setattr(Pass, "_room", poisoning_rooms(Pass._room))


def poisoning(taken):
    def take(*arguments, **options):
        memory = taken(*arguments, **options)
        memory.view(-1).view(torch.uint8).fill_(0xFF)  # a NaN in every format
        return memory

    return take


def poisoning_rooms(room):
    """Return what has the rooms of a pass poisoned in each call; zeros are to be zeros."""

    @wraps(room)
    def poisoned_room(self, make):
        return room(self, make if make.func is torch.zeros else poisoning(make))

    return poisoned_room


@pytest.fixture
def recorded(monkeypatch):
    """List the cells that are recorded."""
    cells, compose = [], _making.compose

    def listing(cell, *others):
        cells.append(cell)
        return compose(cell, *others)

    monkeypatch.setattr(_making, "compose", listing)
    return cells
