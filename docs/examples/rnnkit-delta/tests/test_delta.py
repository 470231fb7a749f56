"""What the equation says of the cell; its promises are tests by themselves."""

import torch

import rnnkit_delta


def test_an_open_gate_hands_the_state_on() -> None:
    """r = 1 leaves h = tanh(h)."""
    cell = rnnkit_delta.Delta(3, 4)
    with torch.no_grad():
        cell.bias_r[:] = 100.0
    h = torch.randn(2, 4)
    y, (after,) = cell(torch.randn(2, 3), (h,))
    torch.testing.assert_close(after, torch.tanh(h))
    assert y is after
