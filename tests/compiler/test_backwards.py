"""An `autograd.Function` whose backward is linear along the units: native, with the loop's numbers, in both orders."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import rnnkit
from rnnkit.core.cell import building

from .test_compiled_law import Call, differences, strays_in_float64

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]


def function_of(backward, forward=torch.tanh, once=False):
    """Return a Function of one operand; `backward` gets the gradient, the operand and the result."""

    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = forward(x)
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, grad):
            return backward(grad, *ctx.saved_tensors)

    if once:
        Own.backward = staticmethod(torch.autograd.function.once_differentiable(Own.backward))
    return Own.apply


def first_units_cut(grad, x, y):
    grad = grad.clone()
    grad[:, :2] = 0
    return grad * (1 - y * y)


def without_gradient(grad, x, y):
    with torch.no_grad():
        return grad * (1 - y * y)


def sparsemax(x):
    ordered = x.sort(1, descending=True).values
    sums, places = ordered.cumsum(1) - 1, torch.arange(1, x.shape[1] + 1, dtype=x.dtype)
    count = (places * ordered > sums).sum(1, keepdim=True)
    level = ((ordered * (places <= count)).sum(1, keepdim=True) - 1) / count.to(x.dtype)
    return torch.clamp(x - level, min=0)


def of_sparsemax(grad, x, y):
    there = (y > 0).to(grad.dtype)
    return there * (grad - (grad * there).sum(1, keepdim=True) / there.sum(1, keepdim=True))


inner = function_of(lambda grad, x, y: 2 * grad, lambda x: x.clamp(-0.5, 0.5))
BACKWARDS = {
    "centred": lambda grad, x, y: grad - grad.mean(-1, keepdim=True),
    "first units cut": first_units_cut,
    "shares": lambda grad, x, y: y.softmax(1) * (grad - (grad * y).sum(1, keepdim=True)),
    "in another order": lambda grad, x, y: grad.flip(1).cumsum(1) / 4,
    "by a matrix": lambda grad, x, y: grad @ (torch.ones(6, 6, dtype=y.dtype).triu() / 6) * (1 - y * y),
    "products of a row": lambda grad, x, y: torch.bmm(x.unsqueeze(2) * grad.unsqueeze(1), x.unsqueeze(2)).squeeze(2),
    "by heads": lambda grad, x, y: torch.einsum("bhd,bhe->bhe", grad.view(-1, 2, 3), x.view(-1, 2, 3)).flatten(1),
    "joined": lambda grad, x, y: torch.cat([grad[:, 3:] * y[:, :3], 2 * grad[:, :3], torch.zeros_like(grad)], 1)[:, :6],
    "without gradient": without_gradient,
    "cut off": lambda grad, x, y: grad.detach().roll(1, 1) * (1 - y * y),
}
CALLS = (
    Call(4, 3, state=True),
    Call(6, 3, lengths=True, reset=True, state=True),
    Call(5, 3, silent=(0,)),
    Call(5, 3, silent=(1, 2)),
    Call(4, 1),
    Call(4, 2, order=2),
)


class Applies(rnnkit.Cell):
    """Applies a function to what a leaky integrator holds."""

    state_names = ("v", "z")

    def __init__(self, function, input_size=3, hidden_size=6):
        super().__init__(input_size, hidden_size)
        self.function = function
        self.read = nn.Linear(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)

    def step(self, x, state):
        v, z = state
        v = 0.5 * v + 2 * self.read(x) + self.recurrent(z)
        z = self.function(v)
        return z, (v, z)


class AppliesBefore(Applies):
    """Applies it to the state that comes in, and to the input alone."""

    def step(self, x, state):
        v, z = state
        v = torch.tanh(self.function(v) + self.recurrent(z) + self.function(self.read(x)))
        return v, (v, torch.cat([z[:, 1:], v[:, :1]], 1))


def build(function, kind=Applies, dtype=torch.float64):
    torch.manual_seed(0)
    with building(None, dtype):
        return kind(function)


def second_derivatives(unroller, cell):
    """Return those of a loss that is not linear in the outputs."""
    torch.manual_seed(1)
    with building(None, torch.float64):
        x = torch.randn(4, 3, 3, requires_grad=True)
    ys, last = unroller(cell, x)
    leaves = [x, *cell.parameters()]
    first = torch.autograd.grad(ys.sin().sum() + last[0].square().sum(), leaves, create_graph=True)
    total = ys.square().sum() + sum(gradient.square().sum() for gradient in first)
    return torch.autograd.grad(total, leaves, materialize_grads=True)


def assert_loops(function, kind=Applies):
    cell = build(function, kind)
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    for backend in ("cpp", "torch"):
        for call in CALLS:
            assert strays_in_float64(build(function, kind), call, Compiled(backend=backend)) == {}, (backend, call)
        found, expected = (second_derivatives(each, cell) for each in (Compiled(backend=backend), Loop()))
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", BACKWARDS)
def test_a_backward_of_rows_is_native(name):
    assert_loops(function_of(BACKWARDS[name]))


@pytest.mark.parametrize("name", ["centred", "shares", "first units cut"])
def test_it_is_of_what_comes_in(name):
    assert_loops(function_of(BACKWARDS[name]), AppliesBefore)


def test_sparsemax_with_its_gradient():
    assert_loops(function_of(of_sparsemax, sparsemax))


def test_single_precision():
    for name in ("centred", "shares", "by heads"):
        assert differences(build(function_of(BACKWARDS[name]), dtype=torch.float32), CALLS[1]) == []


def test_one_that_has_one_derivative_says_so():
    function = function_of(BACKWARDS["centred"], once=True)
    cell = build(function)
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    assert strays_in_float64(cell, CALLS[1], Compiled(backend="cpp")) == {}
    xs = torch.randn(4, 3, 3, dtype=torch.float64)
    (first,) = torch.autograd.grad(Compiled()(cell, xs)[0].sin().sum(), cell.read.weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.square().sum().backward()


LEFT = {
    "shifted": (lambda grad, x, y: grad + 1, "not linear"),
    "shifted far away": (lambda grad, x, y: grad + F.relu(x - 10), "not linear"),
    "clipped": (lambda grad, x, y: grad.clamp(-0.3, 0.3), "not linear"),
    "clipped by a norm": (lambda grad, x, y: grad * torch.clamp(1 / grad.norm(dim=1, keepdim=True), max=1.0), "linear"),
    "normalised": (lambda grad, x, y: F.normalize(grad, dim=1), "not linear"),
    "cut where it is large": (lambda grad, x, y: torch.where(grad > 3, 0.0, grad), "not linear"),
    "in whole numbers": (lambda grad, x, y: (9 * grad).long().to(grad).flip(1), "not linear"),
    "over the gradient": (lambda grad, x, y: (y / grad).flip(1), "not linear"),
    "by another": (lambda grad, x, y: inner(grad), "not linear"),
    "centred over rows": (lambda grad, x, y: grad - grad.mean(0), "mixes the rows"),
    "by its values": (lambda grad, x, y: grad if grad.norm() < 1 else grad / 2, "reads the values"),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_to_the_loop(name):
    backward, reason = LEFT[name]
    cell = build(function_of(backward))
    assert Compiled().explain(cell).startswith("backend: loop")
    assert reason in Compiled().explain(cell)


def test_of_parameters_alone():
    function = function_of(BACKWARDS["centred"])

    class OfWeights(Applies):
        def step(self, x, state):
            v, z = state
            v = torch.tanh(0.5 * v + self.read(x) + F.linear(z, function(self.recurrent.weight)))
            return v, (v, v)

    assert_loops(function, OfWeights)


def quiet(z):
    with torch.no_grad():
        return z.clone()


@pytest.mark.parametrize("read", [torch.zeros_like, torch.ones_like, quiet], ids=lambda read: read.__name__)
def test_a_result_that_is_first_read_without_a_gradient_keeps_its_second(read):
    spike = function_of(lambda grad, x, y: grad / (1 + 10 * x.abs()) ** 2, lambda x: (x > 0).to(x))

    def function(v):
        z = spike(v)
        return torch.where(torch.isfinite(read(z)), z, z)

    assert strays_in_float64(build(function), Call(3, 2, order=2), Compiled(backend="cpp")) == {}
