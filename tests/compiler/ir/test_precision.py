"""Tensors of another precision than the step's: run by kernels where these give the same numbers, else refused."""

import pytest
import torch
from torch.nn import functional as F

import rnnkit

from ..test_compiled_law import Call, Compiled, differences

CALLS = (Call(4, 3, state=True), Call(5, 3, lengths=True, reset=True))


class Applied(rnnkit.Cell):
    """Has a function of its own applied to its state; and a buffer of float32."""

    def __init__(self, function):
        super().__init__(3, 4)
        self.function = function
        torch.manual_seed(0)
        self.w = torch.nn.Parameter(torch.randn(3, 4, dtype=torch.float64))
        self.register_buffer("scale", torch.randn(4, dtype=torch.float32))

    def step(self, x, state):
        h = self.function(self, torch.tanh(state[0] + x @ self.w))
        return h, (h,)


EXACT = {
    "a mask": lambda _, h: h * (h > 0).float() + h / 4 * (1 - (h > 0.5).float()),
    "the place of the largest": lambda _, h: (
        h + F.one_hot(h.argmax(1), 4).float() + 2 * h.argmax(1, keepdim=True).float()
    ),
    "a count": lambda _, h: h / (1 + (h > 0).float().sum(1, keepdim=True)),
    "a number of each unit": lambda _, h: h * torch.arange(4.0),
    "what is filled": lambda _, h: h + torch.zeros(h.shape[0], 4) - torch.ones(h.shape[0], 4),
    "a buffer": lambda cell, h: torch.tanh(h * cell.scale) + cell.scale,
}


@pytest.mark.parametrize("case", EXACT)
def test_what_is_exact_in_both(case):
    cell = Applied(EXACT[case])
    assert Compiled().backend_of(cell) == "cpp"
    assert [line for call in CALLS for line in differences(cell, call, Compiled())] == []


ROUNDED = {
    "a state": lambda _, h: h.float().to(h.dtype),
    "a share": lambda _, h: h * (h > 0).float().mean(1, keepdim=True),
    "a fraction": lambda _, h: h + (h > 0).float() * 0.1,
    "large numbers": lambda _, h: h + (h > 0).float() * 2**40 * 2**-30,
    "a norm": lambda _, h: F.layer_norm(h.float(), (4,)).to(h.dtype),
}


@pytest.mark.parametrize("case", ROUNDED)
def test_what_is_rounded_is_not_for_kernels(case):
    told = Compiled().explain(Applied(ROUNDED[case])).splitlines()
    assert told[0] == "backend: torch"
    assert "has a tensor of torch.float32 beside torch.float64" in told[1]


def test_an_output_of_higher_precision_is_not_for_kernels():
    class Read(Applied):
        def step(self, x, state):
            _, (h,) = super().step(x, state)
            return h.double(), (h,)

    cell = Read(lambda _, h: h).float()
    told = Compiled().explain(cell).splitlines()
    assert told[0] == "backend: torch"
    assert "torch.float64" in told[1]
