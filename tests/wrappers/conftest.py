"""What tests of wrappers need: cells from expressions, all results of a layer, and two cells written out by hand."""

import pytest
import torch

from rnnkit.core.cell import building
from rnnkit.plugin.cell_spec import choose


@pytest.fixture
def build():
    """Build a cell in float64 from an expression or class: the same parameters every time, whatever is around it."""

    def build(cell, input_size=3, hidden_size=4, **options):
        choice = choose(cell)
        torch.manual_seed(0)
        with building(None, torch.float64):
            return choice.kind(input_size, hidden_size, **choice.accepted(options))

    return build


@pytest.fixture
def results():
    """Run a layer from a seed: its output, last states, and the gradients of the input and of each parameter."""

    def results(layer, xs, **masks):
        xs = xs.clone().requires_grad_()
        torch.manual_seed(7)
        ys, last = layer(xs, **masks)
        last = layer.layout.flat(last)
        named = {"input": xs, **dict(layer.named_parameters())}
        loss = torch.stack([tensor.sin().sum() for tensor in (ys, *last)]).sum()
        gradients = torch.autograd.grad(loss, list(named.values()))
        return {"output": ys, **dict(enumerate(last)), **dict(zip(named, gradients, strict=True))}

    return results


@pytest.fixture
def equal_bits():
    """Assert that two sets of results agree to the bit; `fewer` may lack some."""

    def equal_bits(fewer, more):
        assert fewer.keys() <= more.keys()
        assert [name for name, tensor in fewer.items() if not torch.equal(tensor, more[name])] == []

    return equal_bits


@pytest.fixture
def lstm_by_hand():
    """Return one step of an LSTM: (weights, x, h, c) -> the new h, c."""

    def step(weights, x, h, c):
        total = x @ weights["weight_ih"].T + weights["bias_ih"] + h @ weights["weight_hh"].T + weights["bias_hh"]
        i, f, g, o = total.split(len(h[0]), dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    return step


@pytest.fixture
def gru_by_hand():
    """Return one step of a GRU: (weights, x, what the products read, what z hands on) -> the new h."""

    def step(weights, x, read, h):
        from_x = (x @ weights["weight_ih"].T + weights["bias_ih"]).split(len(h[0]), dim=1)
        from_h = (read @ weights["weight_hh"].T + weights["bias_hh"]).split(len(h[0]), dim=1)
        r, z = ((a + b).sigmoid() for a, b in zip(from_x[:2], from_h[:2], strict=True))
        return (1 - z) * (from_x[2] + r * from_h[2]).tanh() + z * h

    return step
