import torch
from rnnkit_mgu import MGU

import rnnkit


def test_keeps_every_promise_of_a_cell():
    rnnkit.testing.check_cell(MGU)


def test_is_registered():
    assert rnnkit.cells["my_mgu"] is MGU
    assert rnnkit.cells.origin("my_mgu") == "rnnkit-mgu 0.1.0"


def test_a_closed_gate_keeps_the_state():
    cell = MGU(3, 4)
    with torch.no_grad():
        cell.bias[:4] = -100.0  # f = 0
    h = torch.randn(2, 4)
    y, (after,) = cell(torch.randn(2, 3), (h,))
    torch.testing.assert_close(after, h)
    assert y is after
