"""A cell that is recorded over and over is told of, with what to do; one that is as it was is recorded once."""

import copy
import logging
from dataclasses import dataclass

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit_compiler import _making, _repetition

XS = torch.randn(2, 3, 4)


@dataclass
class Configuration:
    factor: float = 0.5


def annealed():
    """Return a class that nothing has been said of."""

    class Annealed(rnnkit.Cell):
        name = "annealed"

        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.read = nn.Linear(input_size + hidden_size, hidden_size)
            self.temperature = 1.0
            self.configuration = Configuration()
            self.register_buffer("scale", torch.ones(()))

        def step(self, x, state):
            (h,) = state
            factor = self.configuration.factor * self.scale / self.temperature
            h = torch.tanh(factor * self.read(torch.cat([x, h], 1)))
            return h, (h,)

    return Annealed


@pytest.fixture
def recorded(monkeypatch):
    """Make no programs, which take long; list what they would be made of."""
    cells = []

    def compose(cell, *others):
        cells.append(cell)
        raise _making.NotRecordable("not here")

    monkeypatch.setattr(_making, "compose", compose)
    monkeypatch.setattr(_repetition, "PATIENCE", 3)
    return cells


def call(cell):
    rnnkit.unrollers["compiled"]()(cell, XS)


def test_an_attribute_that_changes_with_every_call_is_told_once(recorded, caplog):
    cell = annealed()(4, 5)
    with caplog.at_level(logging.WARNING, "rnnkit"):
        for k in range(3):
            cell.temperature = 1.0 + k
            call(cell)
        assert not caplog.records
        for k in range(3, 9):
            cell.temperature = 1.0 + k
            call(cell)
    (record,) = caplog.records
    assert record.getMessage() == (
        "cell 'annealed' was recorded 4 times at the same sizes, because its temperature kept changing; "
        "what changes from call to call should be a buffer, whose numbers are read at each call"
    )


def test_buffers_other_sizes_and_copies_are_not(recorded, caplog):
    kind = annealed()
    with caplog.at_level(logging.WARNING, "rnnkit"):
        cell = kind(4, 5)
        for k in range(9):
            cell.scale.fill_(k)
            call(cell)
            call(copy.deepcopy(cell))
            call(kind(4, 5))
        assert len(recorded) == 1
        for width in range(6, 15):
            call(kind(4, width))
    assert len(recorded) == 10
    assert not caplog.records
