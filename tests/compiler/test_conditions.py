"""Steps that raise at some numbers, as distributions and indices do: native while all is well, else the loop raises."""

import pytest
import torch
from torch import distributions, nn
from torch.nn import functional as F

import rnnkit
from rnnkit.core.cell import building
from rnnkit.testing import differences

from ..slow_cases import slow_but

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]


def gaussians(c, z):
    """The terms of a variational cell, whose prior has parameters of its own."""
    prior, post = distributions.Normal(c.v, c.v.exp()), distributions.Normal(z, F.softplus(z.roll(1, 1)))
    seen = distributions.Independent(distributions.Normal(torch.zeros_like(c.v), c.v.exp()), 1).log_prob(z)
    return distributions.kl_divergence(post, prior) + 0.1 * seen.unsqueeze(1)


def categories(c, z):
    choice = distributions.Categorical(logits=z)
    return z * choice.log_prob(choice.probs.argmax(1)).exp().unsqueeze(1) + choice.entropy().unsqueeze(1)


def several(c, z):
    positive = F.softplus(z) + 0.5
    found = distributions.Beta(positive, 1 + z**2).log_prob(torch.sigmoid(z))
    found = found + distributions.Laplace(z, 1.0).cdf(0.5 * z) + distributions.StudentT(3.0, z).log_prob(z + 1)
    weights, each = distributions.Categorical(logits=z[:, :3]), distributions.Normal(z[:, 3:], 1.0)
    mixed = distributions.MixtureSameFamily(weights, each).log_prob(z[:, 0])
    return found + mixed.unsqueeze(1) + distributions.Dirichlet(positive).entropy().unsqueeze(1)


def by_a_matrix(c, z):
    scale = torch.diag_embed(z[:, :3].exp()) + torch.tril(c.m[:3, :3], -1)
    return z + distributions.MultivariateNormal(z[:, 3:], scale_tril=scale).log_prob(z[:, :3]).unsqueeze(1)


def sparsemax(c, z):
    """As it is written: the number of those that are not zero says where to look."""
    ordered = torch.sort(z, dim=1, descending=True).values
    sums = ordered.cumsum(1)
    count = (1 + torch.arange(1, 7, dtype=z.dtype) * ordered > sums).sum(1, keepdim=True)
    return torch.relu(z - (sums.gather(1, count - 1) - 1) / count)


def looked_up(c, z):
    """By real numbers that were rounded."""
    near = (2.5 + z[:, :2].tanh()).long()
    return z * F.embedding(near[:, 0], c.m) + c.m[near[:, 1]] + z.gather(1, near)[:, :1]


@pytest.fixture(autouse=True)
def checked():
    """Have arguments checked, as is the default; whoever uses torch.compile has the whole process do without."""
    default = distributions.Distribution._validate_args
    distributions.Distribution.set_default_validate_args(True)
    yield
    distributions.Distribution.set_default_validate_args(default)


STEPS = [gaussians, categories, several, by_a_matrix, sparsemax, looked_up]


class Raises(rnnkit.Cell):
    def __init__(self, function):
        super().__init__(6, 6)
        self.function, self.recur = function, nn.Linear(6, 6)
        self.v, self.m = nn.Parameter(torch.randn(6)), nn.Parameter(torch.randn(6, 6) / 3)

    def step(self, p, state):
        h = torch.tanh(self.function(self, p + self.recur(state[0])))
        return h, (h,)


def build(function):
    torch.manual_seed(0)
    with building(None, torch.float64):
        return Raises(function)


@pytest.mark.parametrize("function", slow_but([gaussians, sparsemax], STEPS), ids=lambda function: function.__name__)
def test_it_is_native_with_the_loops_numbers(function):
    cell = build(function)
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    torch.manual_seed(1)
    masks = {"lengths": torch.tensor([2, 5, 3]), "reset": torch.rand(5, 3) < 0.3}
    for backend in ("cpp", "torch"):
        assert list(differences(Compiled(backend=backend), cell, 5, 3, 1e-10)) == []
        assert list(differences(Compiled(backend=backend), cell, 5, 3, 1e-10, **masks)) == []


def second_derivatives(unroller, cell, xs):
    xs = xs.clone().requires_grad_()
    wanted = [xs, *cell.parameters()]
    grads = torch.autograd.grad(unroller(cell, xs)[0].sum(), wanted, create_graph=True, allow_unused=True)
    return torch.autograd.grad(
        sum(grad.square().sum() for grad in grads if grad is not None), wanted, materialize_grads=True
    )


@pytest.mark.parametrize("function", [gaussians, sparsemax], ids=lambda function: function.__name__)
def test_second_derivatives(function):
    cell, xs = build(function), torch.randn(4, 3, 6, dtype=torch.float64)
    torch.testing.assert_close(
        second_derivatives(Compiled(), cell, xs), second_derivatives(Loop(), cell, xs), rtol=1e-9, atol=1e-10
    )


@pytest.mark.parametrize("backend", ["cpp", "torch", None])
@pytest.mark.parametrize("function", STEPS, ids=lambda function: function.__name__)
def test_the_error_is_the_loops(function, backend):
    cell = build(function)
    xs = torch.randn(4, 3, 6, dtype=torch.float64)
    Compiled(backend=backend)(cell, xs)  # as long as all is well
    xs[2, 1] = torch.nan
    errors = []
    for unroller in (Loop(), Compiled(backend=backend)):
        with pytest.raises((ValueError, IndexError, RuntimeError)) as raised:
            unroller(cell, xs)
        errors.append((raised.type, str(raised.value)))
    assert errors[0] == errors[1]


def test_what_a_mask_of_parameters_says():
    cell = build(gaussians)
    xs = torch.randn(4, 3, 6, dtype=torch.float64)
    Compiled(backend="cpp")(cell, xs)
    with torch.no_grad():
        cell.v[2] = torch.nan
    with pytest.raises(ValueError, match="Expected parameter"):
        Compiled(backend="cpp")(cell, xs)


class Chosen(Raises):
    """Its output is the place itself, in which no error would show."""

    def step(self, p, state):
        h = torch.tanh(p + self.recur(state[0]))
        near = (2.5 + h).long()
        return near, (h.gather(1, near),)


def test_an_output_of_integers_shows_no_error():
    with building(None, torch.float64):
        cell = Chosen(None)
    assert "gather takes units by an index that may be out of range, as far as the step tells" in Compiled().refusal(
        cell
    )
