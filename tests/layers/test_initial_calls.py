"""Calls without an initial state, again and again: cells that make their own, in shapes of their own."""

import pytest
import torch

import rnnkit
from rnnkit.errors import ShapeError


class Begins(rnnkit.Cell):
    """Begins with as many rows as it is told, whatever the batch; None: with those of the batch."""

    def __init__(self, input_size, hidden_size, rows=1):
        super().__init__(input_size, hidden_size)
        self.mix = torch.nn.Linear(input_size + hidden_size, hidden_size)
        self.rows = rows

    def initial_state(self, batch_size):
        return (torch.zeros(self.rows or batch_size, self.hidden_size),)

    def step(self, x, state):
        (h,) = state
        h = torch.tanh(self.mix(torch.cat([x, h.expand(len(x), -1)], 1)))
        return h, (h,)


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


@pytest.mark.parametrize("rows", [1, 65])
@pytest.mark.parametrize("unroller", ["loop", "compiled"])
@pytest.mark.parametrize("gradients", [True, False])
def test_a_state_of_other_rows_than_the_batch_is_refused_in_every_call(rows, unroller, gradients):
    layer = rnnkit.RNN(Begins, 4, 8, unroller=unroller, rows=rows)
    with torch.set_grad_enabled(gradients):
        for _ in range(4):
            with pytest.raises(ShapeError, match=rf"initial_state\(64\) made 'h' of shape \({rows}, 8\)"):
                layer(torch.randn(3, 64, 4))


def test_a_state_of_one_batch_alone_is_left_to_the_loop():
    layer = rnnkit.RNN(Begins, 4, 8, rows=64)
    assert layer.unroller.name == "loop"
    assert layer(torch.randn(3, 64, 4))[0].shape == (3, 64, 8)


def test_a_shortcut_refuses_rows_that_it_did_not_see_before():
    layer = rnnkit.RNN(Begins, 4, 8, rows=None)
    for _ in range(4):
        layer(torch.randn(3, 64, 4))
    layer._cells[0].rows = 1
    with pytest.raises(ShapeError, match="its first size must be the batch, 64"):
        layer(torch.randn(3, 64, 4))
