"""Gradients of weights over tens of thousands of rows: as near to the float64 loop's as those of the float32 loop."""

import pytest
import torch

import rnnkit

STEPS, BATCH, WIDTH = 100, 256, 16


def gradients(layer, xs, weights):
    ys, _ = layer(xs)
    return [found.double() for found in torch.autograd.grad((ys * weights).sum(), list(layer.parameters()))]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "peephole"])
def test_float32_is_within_twice_the_loop_s_error(cell):
    torch.manual_seed(0)
    exact = rnnkit.RNN(cell, 8, WIDTH, unroller="loop", dtype=torch.float64)
    layers = [rnnkit.RNN(cell, 8, WIDTH, unroller=unroller) for unroller in ("compiled", "loop")]
    for layer in layers:
        layer.load_state_dict(exact.state_dict())
    exact.load_state_dict(layers[0].state_dict())
    xs, weights = torch.randn(STEPS, BATCH, 8), torch.randn(STEPS, BATCH, WIDTH)
    expected = gradients(exact, xs.double(), weights.double())
    ours, loop = (gradients(layer, xs, weights) for layer in layers)
    for one, other, truth in zip(ours, loop, expected, strict=True):
        assert (one - truth).norm() <= 2 * (other - truth).norm() + 2e-7 * truth.norm()
