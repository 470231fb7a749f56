"""Calls without an initial state, again and again: cells that make their own, in shapes of their own."""

import pytest
import torch

import rnnkit


@pytest.mark.parametrize("name", ["mlstm", "convlstm"])
@pytest.mark.parametrize("gradients", [True, False])
def test_a_state_of_another_shape_fits_in_every_call(name, gradients):
    layer, loop = rnnkit.RNN(name, 4, 16), rnnkit.RNN(name, 4, 16, unroller="loop")
    loop.load_state_dict(layer.state_dict())
    xs = torch.randn(3, 64, 4)
    with torch.set_grad_enabled(gradients):
        expected = loop(xs)[0]
        for _ in range(5):
            torch.testing.assert_close(layer(xs)[0], expected, rtol=1e-4, atol=1e-5)
