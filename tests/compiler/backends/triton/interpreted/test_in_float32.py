"""Float32 on the way of a step in low precision: constants are read as they are, and nothing is kept rounded."""

from typing import ClassVar

import pytest
import torch

from ....test_compiled_law import Call, Compiled
from ..unseen_cells import Unseen
from .test_law import held

pytestmark = pytest.mark.usefixtures("trusted", "poisoned")

CALLS = (Call(4, 3), Call(5, 3, lengths=True, reset=True, state=True), Call(3, 18, reset=True, gradients=False))


class Scaled(Unseen):
    """Computes in float32, with literals that no lower precision has: a ramp, a threshold for each unit, and a list."""

    shapes: ClassVar = {"w": (16, 12)}

    def step(self, x, state):
        (h,) = state
        a = (torch.cat([x, h], 1) @ self.w).float()
        a = torch.where(a > torch.linspace(-1, 1, 12), a * torch.linspace(0.1, 1.1, 12), 0.3 * a)
        wave = torch.sin((1 + 0.01 * x.float()[:, :1]) * torch.linspace(100.1, 300.7, 12))  # a radian, if it is rounded
        h = torch.tanh(wave + a + torch.tensor([0.1, 0.3, 0.7]).repeat(4)).to(h.dtype)
        return h * torch.linspace(0, 1, 12, dtype=h.dtype), (h,)


class Saturated(Unseen):
    """Where its tangens is flat, its slope is that of what float32 has and lower precision has not."""

    shapes: ClassVar = {"w": (16, 12)}

    def step(self, x, state):
        (h,) = state
        a = (torch.cat([x, h], 1) @ self.w).float()
        h = (torch.tanh(a + 4) * torch.sigmoid(a - 8).exp()).to(h.dtype)
        return h, (h,)


class Straight(Unseen):
    """Multiplies input and state by matrices in float32 of numbers that every precision has."""

    shapes: ClassVar = {"w": (16, 12)}

    def step(self, x, state):
        (h,) = state
        a = (torch.cat([x, h], 1) @ self.w).float() @ torch.diag(torch.full((12,), 0.5))
        h = torch.tanh(a + x.float() @ torch.eye(4).repeat(1, 3)).to(h.dtype)
        return h, (h,)


class Multiplied(Unseen):
    """Multiplies by a matrix of literals that no lower precision has."""

    shapes: ClassVar = {"w": (16, 12)}

    def step(self, x, state):
        (h,) = state
        a = (torch.cat([x, h], 1) @ self.w).float()
        h = torch.tanh(a @ (torch.linspace(-1, 1, 144).view(12, 12) * 0.3)).to(h.dtype)
        return h, (h,)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("cell", [Scaled, Saturated, Straight])
def test_the_law_holds(cell, dtype):
    torch.manual_seed(0)
    assert held(cell().to(dtype), "sequence", CALLS) == []


def test_matrices_of_literals_are_left_to_torch_s_operations():
    told = Compiled(backend="triton").refusal(Multiplied().to(torch.bfloat16))
    assert "a matrix of constants is torch.float32 beside torch.bfloat16" in told
