"""The layer-norm LSTM against an implementation from explicit means and variances, gate by gate."""

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building


def build(bias):
    """Return a cell whose gains and biases are nowhere at their neutral defaults."""
    torch.manual_seed(0)
    with building(None, torch.float64):
        cell = rnnkit.cells["layernorm"](3, 4, bias=bias)
        for name, parameter in cell.named_parameters():
            if not name.startswith("weight"):
                torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return cell


def normalised(z):
    mean = z.sum(-1, keepdim=True) / z.shape[-1]
    variance = ((z - mean) ** 2).sum(-1, keepdim=True) / z.shape[-1]
    return (z - mean) / (variance + 1e-5).sqrt()


def by_hand(cell, xs, h, c):
    """Step through the paper's equations 20 to 22, one gate at a time."""
    zero = torch.zeros(1, dtype=torch.float64)
    bias = {name: getattr(cell, f"bias_{name}") for name in ("ih", "hh", "c")}
    bias = {name: zero if tensor is None else tensor for name, tensor in bias.items()}
    outputs = []
    for x in xs:
        from_input, from_state = normalised(x @ cell.weight_ih.mT), normalised(h @ cell.weight_hh.mT)
        gates = {}
        for position, gate in enumerate("ifgo"):
            rows = slice(position * 4, position * 4 + 4)
            shift = sum(bias[name][rows] if bias[name] is not zero else zero for name in ("ih", "hh"))
            gates[gate] = cell.gain_ih[rows] * from_input[:, rows] + cell.gain_hh[rows] * from_state[:, rows] + shift
        i, f, o = (1 / (1 + torch.exp(-gates[gate])) for gate in "ifo")
        c = f * c + i * gates["g"].tanh()
        h = o * (cell.gain_c * normalised(c) + bias["c"]).tanh()
        outputs.append(h)
    return torch.stack(outputs), h, c


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_equals_the_explicit_form(bias):
    cell = build(bias)
    xs = torch.randn(9, 2, 3, dtype=torch.float64, requires_grad=True)
    h, c = (torch.randn(2, 4, dtype=torch.float64, requires_grad=True) for _ in "hc")
    ys, last = rnnkit.unrollers["loop"]()(cell, xs, (h, c))
    found, expected = (ys, *last), by_hand(cell, xs, h, c)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)

    inputs, weights = [xs, h, c, *cell.parameters()], [torch.randn_like(tensor) for tensor in found]
    assert len(inputs) == 3 + (8 if bias else 5)
    gradients = [torch.autograd.grad(outputs, inputs, weights) for outputs in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)


def test_gains_start_at_one_and_biases_at_zero():
    cell = rnnkit.cells["layernorm"](3, 4)
    for name, parameter in cell.named_parameters():
        if name.startswith("gain"):
            assert torch.equal(parameter, torch.ones_like(parameter)), name
        elif name.startswith("bias"):
            assert torch.equal(parameter, torch.zeros_like(parameter)), name
        else:
            assert 0 < float(parameter.detach().abs().max()) <= 4**-0.5, name


@pytest.mark.parametrize("weight", ["weight_ih", "weight_hh"])
def test_outputs_do_not_depend_on_the_scale_of_a_weight(weight):
    cell = build(bias=True)
    with torch.no_grad():  # large, so that ε is nothing beside the variance
        getattr(cell, weight).mul_(1e4)
    xs, state = torch.randn(5, 2, 3, dtype=torch.float64), tuple(torch.randn(2, 2, 4, dtype=torch.float64))
    before, _ = rnnkit.unrollers["loop"]()(cell, xs, state)
    with torch.no_grad():
        getattr(cell, weight).mul_(10)
    after, _ = rnnkit.unrollers["loop"]()(cell, xs, state)
    torch.testing.assert_close(before, after, rtol=0, atol=1e-7)
