"""The GRU of the paper: h is reset before the recurrent product."""

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import KindError, UsageError

T, B, D, H = 6, 3, 4, 5


@pytest.mark.parametrize("bias", [True, False])
def test_the_equations(bias):
    torch.manual_seed(0)
    with building(None, torch.float64):
        cell = rnnkit.cells["gru"](D, H, reset_after=False, bias=bias)
    weights_x, weights_h = cell.weight_ih.chunk(3), cell.weight_hh.chunk(3)
    b = (cell.bias_ih + cell.bias_hh).chunk(3) if bias else (0, 0, 0)
    xs, h = torch.randn(T, B, D, dtype=torch.float64), torch.randn(B, H, dtype=torch.float64)
    ys, _ = rnnkit.unrollers["loop"]()(cell, xs, (h,))
    for x, y in zip(xs, ys, strict=True):
        r, z = ((x @ weights_x[k].T + h @ weights_h[k].T + b[k]).sigmoid() for k in (0, 1))
        n = (x @ weights_x[2].T + (r * h) @ weights_h[2].T + b[2]).tanh()
        h = (1 - z) * n + z * h
        torch.testing.assert_close(y, h, rtol=0, atol=1e-12)


def test_every_promise_of_a_cell():
    rnnkit.testing.check_cell(rnnkit.cells["gru"], reset_after=False)


def test_it_is_another_cell_than_torch_s():
    torch.manual_seed(0)
    before, after = (rnnkit.RNN("gru", D, H, reset_after=flag) for flag in (False, True))
    before.load_state_dict(after.state_dict())
    xs = torch.randn(T, B, D)
    assert not torch.allclose(before(xs)[0], after(xs)[0])
    assert "reset_after=False" in repr(before)


def test_what_cannot_be_is_said_in_a_sentence():
    with pytest.raises(UsageError, match="proj_size goes with reset_after=True"):
        rnnkit.RNN("gru", D, H, proj_size=2, reset_after=False)
    with pytest.raises(KindError, match="reset_after is 1; it must be True or False"):
        rnnkit.RNN("gru", D, H, reset_after=1)
