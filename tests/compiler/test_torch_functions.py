"""What torch has ready, called in a step as it is: native, with the loop's numbers and gradients of both orders."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import rnnkit

from .test_odd_cells import assert_same
from .test_strange_steps import Strange, plain, results

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]
UNITS = 6


def shapes_in_place(c, p, h):
    column = torch.vmap(lambda row, other: row @ c.weight + other)(h, p)
    column.unsqueeze_(2).transpose_(1, 2).squeeze_(1)
    turned = column * 2
    turned.t_()[1:3].mul_(0.5)
    return torch.tanh(turned.t()) + plain(c, p, h)


def diagonals(c, p, h):
    outer = h.unsqueeze(2) * p.unsqueeze(1)
    outer.diagonal(dim1=1, dim2=2).zero_()
    outer.diagonal(1, 1, 2).fill_(0.25)
    return plain(c, p, h) + outer.mean(2)


def quantiles(c, p, h):
    parts = torch.tensor([0.25, 0.7], dtype=h.dtype)
    found = torch.quantile(h, parts, dim=1).sum(0).unsqueeze(1)
    for interpolation in ("linear", "nearest", "lower", "higher", "midpoint"):
        found = found + torch.quantile(h * p, 0.3, dim=1, keepdim=True, interpolation=interpolation)
    with_gaps = torch.where(h > 0.5, torch.nan, h)
    return plain(c, p, h) + 0.1 * (found + torch.nanquantile(with_gaps, 0.6, dim=1, keepdim=True).nan_to_num(0.5))


def booleans(c, p, h):
    one, other = h > 0, p > 0
    either, both = one + other, one * other
    chosen = torch.maximum(one, other).to(h.dtype) + torch.minimum(one, other) + (one & other).amax(1, keepdim=True)
    usable = torch.isfinite(1 / (h - h.amax(1, keepdim=True))) & ~torch.isclose(h, p)
    return plain(c, p, h) * either + torch.where(usable, h, p) * both + 0.1 * chosen


def integers(c, p, h):
    small = (3 * h).long().clamp(-2, 2)
    products = small.prod(1, keepdim=True) + torch.cumprod(h > -9, 1)
    return plain(c, p, h) + 0.01 * (small.sign() + small**2 + small**3 + products).to(h.dtype)


def embeddings(c, p, h):
    found = F.embedding((h > 0).long().sum(1).clamp(0, 5), c.weight, padding_idx=2)
    first = F.embedding((p > 0).long().sum(1).clamp(0, 5), c.weight, padding_idx=0)
    return plain(c, p, h) + found * h + first + F.embedding(p.argmax(1), c.weight, padding_idx=-1)


def others(c, p, h):
    chained = torch.linalg.multi_dot([h, c.weight, c.weight]) + F.rrelu(p + h, 0.1, 0.4)
    return torch.tanh(chained + torch.heaviside(h.detach(), torch.tensor(0.25, dtype=h.dtype)))


def few_factors(c, p, h):
    """More products than a row has room for one by one, each of three factors, and of two."""
    outer = (h.unsqueeze(2) * p.unsqueeze(1)).unsqueeze(3) + c.bias[:3]
    return plain(c, p, h) + 0.1 * (outer.prod(3).sum(2) + outer.flatten(1, 2)[:, :12].view(-1, 6, 6).prod(1))


def computed_weights(c, p, h):
    """Products of several dimensions, which torch folds otherwise where gradients are wanted of what is computed."""
    stack, one, row = h.unsqueeze(2) * p.view(-1, 1, UNITS)[:, :, :4], c.weight.tanh(), c.bias.sin()
    left = one @ stack + torch.matmul(one, stack) + F.linear(stack.mT, one, row).mT
    right = stack.mT @ one + stack.mT.matmul(one)
    vectors = torch.matmul(row, stack).sum(1, keepdim=True) + torch.matmul(stack.mT, row).mean(1, keepdim=True)
    return plain(c, p, h) + 0.1 * (left.sum(2) + right.sum(1) + vectors)


STEPS = {
    function.__name__.replace("_", " "): function
    for function in (
        shapes_in_place,
        diagonals,
        quantiles,
        booleans,
        integers,
        embeddings,
        few_factors,
        computed_weights,
        others,
    )
}


@pytest.mark.parametrize("name", STEPS)
def test_a_function_of_torch_is_native(name):
    cell = Strange(STEPS[name], UNITS)
    generator = torch.Generator().manual_seed(2)
    xs = torch.randn(4, 3, UNITS, generator=generator, dtype=torch.float64)
    h0 = torch.randn(3, UNITS, generator=generator, dtype=torch.float64)
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    expected = results(Loop(), cell, xs, h0)
    for backend in ("cpp", "torch"):
        assert_same(results(Compiled(backend=backend), cell, xs, h0), expected)


def mixture(c, p, z):
    """Return an energy of each row by what autograd has an operation of its own for."""
    hidden = F.layer_norm(z @ c.weight, (UNITS,), c.bias, c.bias)
    attended = (F.silu(hidden) @ c.weight).softmax(1) * F.gelu(z)
    return attended.sum(1) + F.softplus(torch.sigmoid(hidden) + F.relu(z)).sum(1) - torch.logsumexp(z * p, 1)


def descends(c, p, h):
    """As `torch.func` takes a gradient: through which the gradient of training passes."""
    return plain(c, p, h) - 0.1 * torch.func.grad(lambda z: mixture(c, p, z).sum())(h)


def descends_by_autograd(c, p, h):
    with torch.enable_grad():
        z = h if h.requires_grad else h.detach().requires_grad_()
        (slope,) = torch.autograd.grad(mixture(c, p, z).sum(), z, create_graph=True)
    return plain(c, p, h) - 0.1 * slope


def descends_apart(c, p, h):
    """By a gradient that is a number to the training."""
    with torch.enable_grad():
        z = h.detach().requires_grad_()
        energy = mixture(c, p, z).sum() + F.mse_loss(z, p, reduction="sum") + F.elu(F.logsigmoid(z)).sum()
        (slope,) = torch.autograd.grad(energy, z)
    return plain(c, p, h) - 0.1 * slope


@pytest.mark.parametrize("step", [descends, descends_by_autograd, descends_apart], ids=lambda step: step.__name__)
def test_a_step_that_takes_a_gradient_is_native(step):
    cell = Strange(step, UNITS)
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    assert list(rnnkit.testing.differences(Compiled(), cell, 4, 3, 1e-9)) == []
    with torch.no_grad():
        xs = torch.randn(4, 3, UNITS, dtype=torch.float64)
        assert_same([Compiled()(cell, xs)[0]], [Loop()(cell, xs)[0]])


class Around(rnnkit.Cell):
    """A recurrent module of torch.nn over a few pieces of the state, in a step."""

    def __init__(self, input_size, hidden_size, module):
        super().__init__(input_size, hidden_size)
        self.inner = module(4, 2, batch_first=True, dtype=torch.float64)

    def step(self, p, state):
        pieces = state[0].view(-1, 3, 2)
        each = torch.cat([pieces, p.unsqueeze(1).expand_as(pieces)], 2)
        h = self.inner(each)[0].reshape(-1, UNITS)
        return h, (h,)


@pytest.mark.parametrize("kind", [nn.LSTM, *(pytest.param(k, marks=pytest.mark.slow) for k in (nn.GRU, nn.RNN))])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_module_of_torch_over_pieces_is_native(kind, dtype, recwarn):
    cell = Around(2, UNITS, kind).to(dtype)
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    assert list(rnnkit.testing.differences(Compiled(), cell, 5, 3, tolerance)) == []
    assert not recwarn.list


def test_such_a_module_is_recorded_once_for_all_steps_of_training(monkeypatch):
    from rnnkit_compiler.trace import record

    class Unseen(Around):
        """Of which no other test has left a program."""

    recorded, own = [], record._record
    monkeypatch.setattr(record, "_record", lambda *given: recorded.append(1) or own(*given))
    layer = rnnkit.RNN(partial(Unseen, module=nn.LSTM), 2, UNITS)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    counts = []
    for _ in range(3):
        layer(torch.randn(4, 3, 2, dtype=torch.float64))[0].square().sum().backward()
        optimizer.step()
        counts.append(len(recorded))
    assert counts[0]
    assert len({*counts}) == 1
