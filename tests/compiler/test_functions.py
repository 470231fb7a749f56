"""An `autograd.Function` of the author in a step: native where its gradient goes element by element."""

import pytest
import torch
from torch import nn

import rnnkit

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]


class Spike(torch.autograd.Function):
    """A spike above zero, with a surrogate gradient."""

    steepness = 10.0

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 0).to(v)

    @staticmethod
    def backward(ctx, grad):
        (v,) = ctx.saved_tensors
        return grad / (1 + Spike.steepness * v.abs()) ** 2


class Steep(torch.autograd.Function):
    """The same in the other style, with an argument that is no tensor."""

    @staticmethod
    def forward(v, alpha):
        return (v > 0).to(v)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.alpha = inputs[1]

    @staticmethod
    def backward(ctx, grad):
        (v,) = ctx.saved_tensors
        share = torch.sigmoid(ctx.alpha * v)
        return grad * ctx.alpha * share * (1 - share), None


class Rounded(torch.autograd.Function):
    """Straight through."""

    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, grad):
        return grad


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, share):
        ctx.share = share
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -ctx.share * grad, None


class OfTwo(torch.autograd.Function):
    """Twice the gradient to the second operand."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return torch.tanh(a) * b

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        bent = torch.tanh(a)
        return grad * b * (1 - bent * bent), grad * bent * 2


class OfItsResult(torch.autograd.Function):
    """Backward reads what forward gave."""

    @staticmethod
    def forward(ctx, a):
        y = torch.tanh(a)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad * (1 - y * y)


class Shared(torch.autograd.Function):
    """Its gradient is not element by element."""

    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return a.softmax(1)

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved_tensors
        y = a.softmax(1)
        return y * (grad - (grad * y).sum(1, keepdim=True))


class Clipped(Rounded):
    """Its gradient is cut off, which small ones do not show."""

    @staticmethod
    def backward(ctx, grad):
        return grad.clamp(-5, 5)


class Gated(Rounded):
    """Small gradients are left out."""

    @staticmethod
    def backward(ctx, grad):
        return torch.where(grad.abs() > 3, 0.0, grad)


class Averaged(Rounded):
    """Divides by the number of rows."""

    @staticmethod
    def backward(ctx, grad):
        return grad / len(grad)


class Noted(Rounded):
    """Leaves a gradient where a mask says so, and nothing beside."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.round()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return torch.where(x.abs() < 1, grad, 0.0).masked_fill(x > 0.9, 0.0) * 2 / 3


class Masked(Noted):
    """Writes into the gradient, in place."""

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        grad = grad.clone()
        grad[x > 0.9] = 0
        grad[~(x > -1)] = 0.0
        return grad * 0.5


class Summed(Noted):
    """Adds up, and chooses between, what is made of the gradient."""

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        near = torch.where(x.abs() < 1, grad * torch.exp(-x * x), torch.zeros_like(grad))
        return near + grad / 3 - torch.where(x > 0, grad, 0.1 * grad)


class Shifted(Rounded):
    """Adds what is no gradient."""

    @staticmethod
    def backward(ctx, grad):
        return grad + torch.ones_like(grad)


class Once(Rounded):
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return grad * 2


spiking = Spike.apply
LEFT = (Clipped, Gated, Averaged, Shifted)
FUNCTIONS = {
    "spike": lambda v, u: spiking(v),
    "other style": lambda v, u: Steep.apply(v, 2.5),
    "straight through": lambda v, u: Rounded.apply(3 * v),
    "reversed": lambda v, u: torch.tanh(Reversed.apply(v, 0.5)),
    "two operands": OfTwo.apply,
    "one operand twice": lambda v, u: OfTwo.apply(v, v),
    "its own result": lambda v, u: OfItsResult.apply(v),
    "by a mask": lambda v, u: Noted.apply(2 * v) + torch.tanh(v),
    "masked in place": lambda v, u: Masked.apply(2 * v) + torch.tanh(v),
    "summed": lambda v, u: Summed.apply(2 * v) + torch.tanh(v),
    "beside another": lambda v, u: torch.tanh(v) * 0.5 + Spike.apply(v),
    "of the input alone": lambda v, u: OfItsResult.apply(u) + v,
    "not element by element": lambda v, u: Shared.apply(v),
    "chain": lambda v, u: Spike.apply(torch.sin(Rounded.apply(v))) * Reversed.apply(u, 0.2),
}


class Spiking(rnnkit.Cell):
    """A leaky integrator that applies a function to what its potential is above a threshold."""

    state_names = ("v", "z")

    def __init__(self, input_size, hidden_size, function):
        super().__init__(input_size, hidden_size)
        self.function = function
        self.read = nn.Linear(input_size, hidden_size, dtype=torch.float64)
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False, dtype=torch.float64)
        self.threshold = nn.Parameter(torch.linspace(0, 0.3, hidden_size, dtype=torch.float64))

    def step(self, x, state):
        v, z = state
        v = 0.9 * v + self.read(x) + self.recurrent(z) - z * self.threshold
        z = self.function(v - self.threshold, v)
        return z, (v, z)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_is_native(name):
    cell = Spiking(3, 5, FUNCTIONS[name])
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    for batch in (1, 3):
        assert list(rnnkit.testing.differences(Compiled(), cell, 4, batch, 1e-9)) == []
    with torch.no_grad():
        xs = torch.randn(4, 3, 3, dtype=torch.float64)
        torch.testing.assert_close(Compiled()(cell, xs)[0], Loop()(cell, xs)[0])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_gradients_of_gradients_are_the_loops(name):
    cell, found = Spiking(3, 5, FUNCTIONS[name]), []
    xs = torch.randn(4, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for unroller in (Loop(), Compiled()):
        x = xs.clone().requires_grad_()
        ys, last = unroller(cell, x)
        leaves = [x, *cell.parameters()]
        weights = torch.arange(1.0, ys.numel() + 1, dtype=torch.float64).view(ys.shape)
        first = torch.autograd.grad(
            (ys * weights.cos()).sin().sum() + last[0].square().sum(), leaves, create_graph=True
        )
        total = sum((gradient / 9).square().sum() for gradient in first)
        found.append([*first, *torch.autograd.grad(total, leaves, materialize_grads=True)])
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-9)


def test_one_that_has_one_derivative_is_native_and_has_no_second():
    cell = Spiking(3, 5, lambda v, u: Once.apply(v) + torch.tanh(v))
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    assert list(rnnkit.testing.differences(Compiled(backend="cpp"), cell, 4, 3, 1e-9)) == []
    said, xs = [], torch.randn(4, 3, 3, dtype=torch.float64)
    for unroller in (Loop(), Compiled(backend="cpp")):
        (first,) = torch.autograd.grad(unroller(cell, xs)[0].sin().sum(), cell.read.weight, create_graph=True)
        with pytest.raises(RuntimeError) as raised:
            first.square().sum().backward()
        said.append(str(raised.value))
    assert said[0] == said[1]
    assert "once_differentiable" in said[0]


@pytest.mark.parametrize("function", LEFT, ids=lambda function: function.__name__)
def test_another_gradient_is_left_to_the_loop(function):
    cell = Spiking(3, 5, lambda v, u: function.apply(v))
    name = function.__name__
    reasons = ("whose gradient is not linear", "mixes the rows", "for another number of rows")
    explained = Compiled().explain(cell)
    assert explained.startswith("backend: loop")
    assert any(reason in explained for reason in reasons), explained
    assert name in explained or function is Averaged
    xs = torch.randn(4, 3, 3, dtype=torch.float64)
    grads = [torch.autograd.grad(100 * u(cell, xs)[0].sum(), cell.read.weight)[0] for u in (Loop(), Compiled())]
    torch.testing.assert_close(*grads)


def test_what_its_backward_reads_is_seen(monkeypatch):
    cell, xs = Spiking(3, 5, FUNCTIONS["spike"]), torch.randn(4, 3, 3, dtype=torch.float64)

    def gradient(unroller):
        return torch.autograd.grad(unroller(cell, xs)[0].sum(), cell.read.weight)[0]

    before = gradient(Compiled())
    monkeypatch.setattr(Spike, "steepness", 2.0)
    torch.testing.assert_close(gradient(Compiled()), gradient(Loop()))
    assert not torch.allclose(gradient(Compiled()), before)
