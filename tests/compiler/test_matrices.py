"""Small matrices of each row taken apart, and constant ones: native, the loop's numbers, and the loop's errors."""

import pytest
import torch
from torch import linalg, nn

import rnnkit
from rnnkit.core.cell import building

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]


def positive(a):
    return a @ a.mT + torch.eye(a.shape[-1])


def exchanged(a):
    """Have a zero first, so that rows have to be exchanged."""
    return a + torch.eye(a.shape[-1]).roll(1, 1) * 3 - a * torch.eye(a.shape[-1])


OPERATIONS = {
    "inv": lambda c, a, b: linalg.inv(a),
    "exchanged": lambda c, a, b: linalg.inv(exchanged(a)) + linalg.solve(exchanged(a), a),
    "solve": lambda c, a, b: linalg.solve(a, b.unsqueeze(2)),
    "of a vector": lambda c, a, b: linalg.solve(a, b),
    "from the right": lambda c, a, b: linalg.solve(a, a.mT, left=False),
    "cholesky": lambda c, a, b: linalg.cholesky(positive(a)),
    "upper": lambda c, a, b: linalg.cholesky(positive(a) + 0.1 * a, upper=True),
    "triangular": lambda c, a, b: linalg.solve_triangular(a, a.mT, upper=True),
    "from the right by a triangle": lambda c, a, b: linalg.solve_triangular(a, a.mT, upper=False, left=False),
    "ones on the diagonal": lambda c, a, b: linalg.solve_triangular(a, a.mT, upper=False, unitriangular=True),
    "by factors": lambda c, a, b: torch.cholesky_solve(b.unsqueeze(2), linalg.cholesky(positive(a))),
    "by upper factors": lambda c, a, b: torch.cholesky_solve(a.mT, a, upper=True),
    "inverse of factors": lambda c, a, b: torch.cholesky_inverse(a) + torch.cholesky_inverse(a, upper=True),
    "det": lambda c, a, b: linalg.det(a),
    "slogdet": lambda c, a, b: torch.stack(linalg.slogdet(a), 1),
    "logdet": lambda c, a, b: torch.logdet(positive(a)),
    "constant": lambda c, a, b: linalg.solve(c.m, b.mT).mT + linalg.solve(c.m, b, left=False),
    "constant, of matrices": lambda c, a, b: linalg.solve(c.m, a) + linalg.solve(c.m, a, left=False),
    "several": lambda c, a, b: linalg.inv(torch.stack([a, positive(a)], 1)),
    "several factors": lambda c, a, b: linalg.cholesky(torch.stack([positive(a), 2 * positive(a)], 1)),
    "several solutions": lambda c, a, b: linalg.solve(torch.stack([a, positive(a)], 1), torch.stack([a, a.mT], 1)),
}


class Takes(rnnkit.Cell):
    """Shows what an operation makes of a matrix of each row, away from what is singular."""

    def __init__(self, operation, size=3):
        super().__init__(size * size, size * size)
        self.operation, self.size = operation, size
        self.m = nn.Parameter(torch.randn(size, size) / 3 + 2 * torch.eye(size))

    @property
    def output_size(self):
        with torch.no_grad():
            return self.step(torch.ones(2, self.input_size), (torch.ones(2, self.input_size),))[0].shape[1]

    def step(self, x, state):
        (h,), size = state, self.size
        a = 0.3 * torch.tanh(x + h).view(-1, size, size) + 2 * torch.eye(size)
        found = self.operation(self, a, x[:, :size] + 0.2 * h[:, :size])
        return found.reshape(len(x), -1), (torch.tanh(0.5 * h + x),)


class Kalman(rnnkit.Cell):
    """Filters three numbers of four hidden ones: the mean and the covariance are states."""

    state_names = ("mean", "covariance")

    def __init__(self):
        super().__init__(3, 4)
        self.move = nn.Parameter(torch.randn(4, 4) / 3)
        self.look = nn.Parameter(torch.randn(3, 4) / 2)
        self.noise = nn.Parameter(torch.zeros(3))

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 4), torch.eye(4).expand(batch_size, 4, 4)

    def step(self, x, state):
        mean, p = state
        mean, p = mean @ self.move.mT, self.move @ p @ self.move.mT + 0.1 * torch.eye(4)
        error = self.look @ p @ self.look.mT + torch.diag(self.noise.exp())
        gain = linalg.solve(error, self.look @ p).mT
        mean = mean + (gain @ (x - mean @ self.look.mT).unsqueeze(2)).squeeze(2)
        p = (torch.eye(4) - gain @ self.look) @ p
        return mean, (mean, 0.5 * (p + p.mT))


def build(kind, *arguments):
    torch.manual_seed(0)
    with building(None, torch.float64):
        return kind(*arguments)


def derivatives(unroller, cell, order):
    torch.manual_seed(1)
    with building(None, torch.float64):
        xs = torch.randn(4, 3, cell.input_size, requires_grad=True)
        ys, last = unroller(cell, xs)
    total = sum((part * torch.arange(part.numel()).cos().view_as(part)).sum() for part in (ys, *last))
    wanted = [xs, *cell.parameters()]
    grads = torch.autograd.grad(total, wanted, create_graph=order == 2, materialize_grads=True)
    if order == 2:
        grads += torch.autograd.grad(sum(grad.square().sum() for grad in grads), wanted, materialize_grads=True)
    return [ys, *last, *grads]


def assert_native(cell):
    with building(None, torch.float64):
        assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    for order in (1, 2):
        found, expected = (derivatives(each, cell, order) for each in (Compiled(backend="cpp"), Loop()))
        for one, other in zip(found, expected, strict=True):
            scale = max(1.0, float(other.detach().abs().max()))
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10 * scale)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.one_in(3)
def test_an_operation_is_native(name):
    assert_native(build(Takes, OPERATIONS[name]))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("inv", 6), ("slogdet", 5), ("cholesky", 8)])
def test_a_larger_one_is_native(name, size):
    assert_native(build(Takes, OPERATIONS[name], size))


def test_a_filter_is_native():
    assert_native(build(Kalman))


def test_a_determinant_of_a_singular_matrix_has_a_gradient():
    cell = build(Takes, lambda c, a, b: linalg.det(b.unsqueeze(2) * b.unsqueeze(1)))
    found, expected = (derivatives(each, cell, 1) for each in (Compiled(backend="cpp"), Loop()))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("backend", ["cpp", "torch", None])
@pytest.mark.parametrize(
    "operation",
    [
        lambda c, a, b: linalg.inv(a * b[:, :1, None]),
        lambda c, a, b: linalg.solve(a * b[:, :1, None], b),
        lambda c, a, b: linalg.cholesky(
            positive(a) + torch.eye(3) * torch.where(b[:, :1] == 0, -50, b[:, :1])[..., None]
        ),
        lambda c, a, b: b @ linalg.inv(c.m),
    ],
    ids=["inv", "solve", "cholesky", "constant"],
)
def test_the_loop_says_what_is_singular(operation, backend):
    cell = build(Takes, operation)
    xs = torch.zeros(2, 3, 9, dtype=torch.float64)
    with torch.no_grad(), building(None, torch.float64):
        Compiled(backend=backend)(cell, xs + 1)  # as long as all is well
        cell.m.zero_()
        with pytest.raises(linalg.LinAlgError) as expected:
            Loop()(cell, xs)
        with pytest.raises(linalg.LinAlgError) as found:
            Compiled(backend=backend)(cell, xs)
    assert str(found.value) == str(expected.value)
