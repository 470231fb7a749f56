"""Random states for checks: real and complex numbers are drawn, counters stay."""

import torch

import rnnkit
from rnnkit.core.state_domains import random_like


class Mixed(rnnkit.Cell):
    state_names = ("h", "wave", "count")

    def step(self, p, state):
        return p, state


def test_numbers_are_drawn_and_counters_stay():
    zeros = torch.zeros(2, 3)
    h, wave, count = random_like(Mixed(3, 3), (zeros, torch.complex(zeros, zeros), torch.ones(2, dtype=torch.long)))
    assert (h != 0).all()
    assert (wave.real != 0).all()
    assert (wave.imag != 0).all()
    assert (count == 1).all()
