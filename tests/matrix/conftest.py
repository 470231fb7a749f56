"""Cells of the tests' own, which other processes find too."""

import pytest

CELLS = """
import os, signal
import torch
import rnnkit


class Right(rnnkit.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def step(self, p, state):
        h = torch.tanh(self.read(torch.cat([p, state[0]], dim=1)))
        return h, (h,)


class Detached(Right):
    def step(self, p, state):
        return super().step(p, (state[0].detach(),))


class Broken(Right):
    def step(self, p, state):
        raise RuntimeError("out of order")


class Doomed(Right):
    def step(self, p, state):
        if len(p) == 1 and torch.is_grad_enabled():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(p, state)


class Straight(Right):
    straight_through = True


class Unbuilt(Right):
    def __init__(self, input_size, hidden_size):
        raise ValueError("never at this size")
"""


@pytest.fixture
def own_cells(site):
    """Let `own_matrix_cells:Right` and others be found."""
    (site.path / "own_matrix_cells.py").write_text(CELLS)
    return "own_matrix_cells"
