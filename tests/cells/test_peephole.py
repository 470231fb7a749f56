"""The peephole LSTM: without peepholes it is the LSTM; with them, the paper's equations unit by unit."""

import math

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building


def build(bias=True):
    torch.manual_seed(0)
    with building(None, torch.float64):
        return rnnkit.cells["peephole"](3, 4, bias=bias)


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def by_hand(cell, xs, h, c):
    """Run one row, every unit by itself, in Python's floats: the outputs, and the last h and c."""
    weights = {name: tensor.tolist() for name, tensor in cell.named_parameters()}
    hidden = cell.hidden_size
    outputs = []
    for x in xs.tolist():
        before_h, before_c = h, c
        h, c = [], []
        for unit in range(hidden):

            def drive(gate, x=x, before_h=before_h, unit=unit):
                row = gate * hidden + unit
                total = sum(w * value for w, value in zip(weights["weight_ih"][row], x, strict=True))
                total += sum(w * value for w, value in zip(weights["weight_hh"][row], before_h, strict=True))
                if "bias_ih" in weights:
                    total += weights["bias_ih"][row] + weights["bias_hh"][row]
                return total

            i = sigmoid(drive(0) + weights["peephole_i"][unit] * before_c[unit])
            f = sigmoid(drive(1) + weights["peephole_f"][unit] * before_c[unit])
            c.append(f * before_c[unit] + i * math.tanh(drive(2)))
            o = sigmoid(drive(3) + weights["peephole_o"][unit] * c[unit])
            h.append(o * math.tanh(c[unit]))
        outputs.append(h)
    return outputs, h, c


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_equals_the_equations_unit_by_unit(bias):
    cell = build(bias)
    xs, h, c = (torch.randn(*shape, dtype=torch.float64) for shape in ((9, 2, 3), (2, 4), (2, 4)))
    ys, (last_h, last_c) = rnnkit.unrollers["loop"]()(cell, xs, (h, c))
    for row in range(2):
        expected = by_hand(cell, xs[:, row], h[row].tolist(), c[row].tolist())
        found = (ys[:, row].tolist(), last_h[row].tolist(), last_c[row].tolist())
        for result, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(torch.tensor(result), torch.tensor(wanted), rtol=0, atol=1e-12)


def test_without_peepholes_it_is_the_lstm():
    peephole = build()
    for gate in "ifo":
        torch.nn.init.zeros_(getattr(peephole, f"peephole_{gate}"))
    with building(None, torch.float64):
        lstm = rnnkit.cells["lstm"](3, 4)
    lstm.load_state_dict(peephole.state_dict(), strict=False)
    xs = torch.randn(9, 2, 3, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn(2, 4, dtype=torch.float64, requires_grad=True) for _ in "hc")
    results = []
    for cell in (peephole, lstm):
        ys, last = rnnkit.unrollers["loop"]()(cell, xs, state)
        inputs = [xs, *state, *(getattr(cell, name) for name, _ in lstm.named_parameters())]
        results.append((ys, *last, *torch.autograd.grad([ys.sin().sum(), last[1].sum()], inputs)))
    torch.testing.assert_close(*results, rtol=0, atol=1e-14)


@pytest.mark.parametrize("gate", "ifo")
def test_each_peephole_counts(gate):
    cell = build()
    xs, state = torch.randn(4, 2, 3, dtype=torch.float64), cell.initial_state(2)
    before, _ = rnnkit.unrollers["loop"]()(cell, xs, state)
    torch.nn.init.constant_(getattr(cell, f"peephole_{gate}"), 2.0)
    after, _ = rnnkit.unrollers["loop"]()(cell, xs, state)
    assert not torch.allclose(before, after)
