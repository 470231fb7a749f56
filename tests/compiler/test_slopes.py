"""Gradients that a step takes of activations and losses: native, and the loop's numbers, in both orders."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import rnnkit

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]

ENERGIES = {
    "softshrink": lambda c, h, x: F.softshrink(2 * h * x) ** 2,
    "hardshrink": lambda c, h, x: F.hardshrink(2 * h) * x * h,
    "hardswish": lambda c, h, x: F.hardswish(3 * h * x) * x,
    "prelu": lambda c, h, x: F.prelu(h * x, c.one) ** 2,
    "prelu by units": lambda c, h, x: F.prelu(h * x, c.each) ** 2,
    "smooth_l1_loss": lambda c, h, x: F.smooth_l1_loss(h, x, reduction="none", beta=0.7) * h,
    "smooth_l1_loss summed": lambda c, h, x: F.smooth_l1_loss(h, x, reduction="sum"),
}


class Descends(rnnkit.Cell):
    def __init__(self, energy):
        super().__init__(6, 6)
        self.energy = energy
        self.one = nn.Parameter(torch.tensor(0.3, dtype=torch.float64))
        self.each = nn.Parameter(torch.linspace(0.1, 0.6, 6, dtype=torch.float64))

    def step(self, x, state):
        (h,) = state
        h = h + 0.5 * x
        h = torch.tanh(h - 0.3 * torch.func.grad(lambda z: self.energy(self, z, x).sum())(h) * self.each)
        return h, (h,)


def derivatives(unroller, cell, order):
    xs = torch.randn(4, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    ys, _ = unroller(cell, xs)
    wanted = [xs, *cell.parameters()]
    grads = torch.autograd.grad(ys.sin().sum(), wanted, create_graph=order == 2, materialize_grads=True)
    if order == 2:
        grads = torch.autograd.grad(sum(grad.square().sum() for grad in grads), wanted, materialize_grads=True)
    return [ys, *grads]


@pytest.mark.parametrize("name", ENERGIES)
@pytest.mark.one_in(3)
def test_a_slope_is_native(name):
    cell = Descends(ENERGIES[name])
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    for order in (1, 2):
        found, expected = (derivatives(each, cell, order) for each in (Compiled(backend="cpp"), Loop()))
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
