"""States, outputs and parts that are no real numbers, and units that are taken by a buffer: the loop's numbers."""

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.core.cell import building

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]


class Elman(rnnkit.Cell):
    """What the cells have in common: a product of input and state."""

    def __init__(self, input_size=3, hidden_size=4):
        super().__init__(input_size, hidden_size)
        self.lin = nn.Linear(input_size + hidden_size, hidden_size)
        self.prepare()

    def prepare(self):
        """Make what a cell has besides."""

    def candidate(self, x, h):
        return torch.tanh(self.lin(torch.cat([x, h], 1)))

    def zeros(self, batch_size, width=None, dtype=None):
        return self.lin.weight.new_zeros(batch_size, self.hidden_size if width is None else width, dtype=dtype)


class Clockwork(Elman):
    """Units of different periods, which a buffer has; the step counts."""

    state_names = ("h", "t")

    def prepare(self):
        self.register_buffer("periods", torch.tensor([1, 2, 4, 3]))

    def initial_state(self, batch_size):
        return self.zeros(batch_size), self.zeros(batch_size, 1, torch.int64)

    def step(self, x, state):
        h, t = state
        h = torch.where(t % self.periods == 0, self.candidate(x, h), h)
        return h, (h, t + 1)


class Phased(Clockwork):
    """The phase of a counter that begins again, as a number, beside a count that is put out."""

    def step(self, x, state):
        h, t = state
        phase = (t % 5).to(h.dtype) / 5
        h = h + phase * (self.candidate(x, h) - h)
        return t * 2 - t // 2, (h, torch.where(t > 6, 0, t + 1))


class Refractory(Elman):
    """Units that rest after they were large: true or false."""

    state_names = ("h", "rests")

    def initial_state(self, batch_size):
        return self.zeros(batch_size), self.zeros(batch_size, dtype=torch.bool)

    def step(self, x, state):
        h, rests = state
        h = torch.where(rests, 0.9 * h, self.candidate(x, h))
        rests = (h.abs() > 0.4) & ~rests
        return rests, (h, rests)


class Rotations(Elman):
    """The linear recurrent unit: a complex state, complex parameters, and an output that is the real part."""

    def prepare(self):
        self.decay, self.angle = nn.Parameter(torch.rand(4)), nn.Parameter(torch.rand(4))
        self.inward = nn.Parameter(torch.view_as_complex(torch.randn(3, 4, 2)))
        self.outward = nn.Parameter(torch.view_as_complex(torch.randn(4, 4, 2)))

    def initial_state(self, batch_size):
        return (self.zeros(batch_size, dtype=self.inward.dtype),)

    def step(self, x, state):
        turn = torch.polar(torch.exp(-torch.exp(self.decay)), self.angle)
        h = turn * state[0] + x.to(self.inward.dtype) @ self.inward
        return (h @ self.outward).real + self.lin.bias, (h,)


class Pairs(Elman):
    """Pairs of real numbers that are complex in between, and a complex output."""

    state_names = ("re", "im")

    def step(self, x, state):
        z = torch.complex(*state)
        u = torch.view_as_complex(self.candidate(x, state[0]).view(-1, 2, 2).repeat(1, 2, 1))
        z = torch.polar(0.9 * torch.tanh(z.abs() + 0.1), z.angle() + 1) + u / (z.conj() * z + 1)
        return z * 1j, (z.real, z.imag)


class Permuted(Elman):
    """Takes its units in an order that a buffer has, once as an index of a dimension and once for each row."""

    def prepare(self):
        self.register_buffer("order", torch.randperm(4))

    def step(self, x, state):
        (h,) = state
        h = self.candidate(x, h[:, self.order]) + 0.1 * h.gather(1, self.order.expand(len(h), -1))
        return h.flip(1), (h,)


CELLS = [Clockwork, Phased, Refractory, Rotations, Pairs, Permuted]


def build(kind, dtype=torch.float64):
    torch.manual_seed(0)
    with building(None, dtype):
        return kind()


def real(tensor):
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def results(unroller, cell, order=1, state=None, **masks):
    """Return outputs, last states and gradients, or the gradients' gradients."""
    torch.manual_seed(1)
    xs = torch.randn(5, 3, 3, dtype=cell.lin.weight.dtype).requires_grad_()
    ys, last = unroller(cell, xs, state, **masks)
    leaves = [xs, *cell.parameters()]
    heard = [real(tensor) for tensor in (ys, *last) if tensor.requires_grad]
    loss = sum((tensor * torch.arange(tensor.numel()).cos().view_as(tensor)).sum() for tensor in heard)
    found = torch.autograd.grad(loss, leaves, create_graph=order == 2, materialize_grads=True)
    if order == 2:
        total = sum(real(grad).square().sum() for grad in found if grad.requires_grad)
        found = torch.autograd.grad(total, leaves, materialize_grads=True)
    return [ys.detach(), *last, *found]


def assert_same(found, expected, tolerance=1e-10):
    assert [tensor.dtype for tensor in found] == [tensor.dtype for tensor in expected]
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(f, e, rtol=tolerance, atol=tolerance)


FAST = (Clockwork, Rotations)


@pytest.mark.parametrize("kind", [pytest.param(k, marks=[] if k in FAST else pytest.mark.slow) for k in CELLS])
def test_a_kernel_has_the_loops_numbers(kind):
    cell = build(kind)
    masks = {"lengths": torch.tensor([5, 2, 4]), "reset": torch.arange(15).view(5, 3) % 7 == 3}
    for given in ({}, {"lengths": masks["lengths"]}, {"reset": masks["reset"]}, masks, {"order": 2}):
        expected = results(Loop(), cell, **given)
        for backend in ("cpp", "torch"):
            assert_same(results(Compiled(backend=backend), cell, **given), expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CELLS)
def test_a_kernel_of_single_precision_and_one_without_gradients(kind):
    cell = build(kind, torch.float32)
    assert_same(results(Compiled(backend="cpp"), cell), results(Loop(), cell), 1e-4)
    with torch.no_grad():
        xs = torch.randn(4, 2, 3)
        (ys, last), (expected, wanted) = (unroller(cell, xs) for unroller in (Compiled(backend="cpp"), Loop()))
    assert_same([ys, *last], [expected, *wanted], 1e-5)


@pytest.mark.slow
def test_a_counter_that_single_precision_would_round_is_counted_on():
    cell = build(Clockwork, torch.float32)
    near = torch.zeros(3, 4), torch.tensor([[2**24 - 3], [0], [2**30]])
    assert_same(results(Compiled(), cell, state=near), results(Loop(), cell, state=near), 1e-4)


def test_a_period_of_zero_is_the_loops_error():
    cell = build(Clockwork)
    cell.periods[2] = 0
    xs = torch.randn(4, 2, 3, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        Compiled()(cell, xs)


class Squares(Clockwork):
    def step(self, x, state):
        h, t = state
        return self.candidate(x, h), (h, t * t + 1)


class Doubles(Clockwork):
    def step(self, x, state):
        h, t = state
        return self.candidate(x, h), (h, t + t)


class Truncates(Clockwork):
    def step(self, x, state):
        h, _ = state
        return self.candidate(x, h), (h, (100 * h[:, :1]).long() + 1)


class Becomes(Clockwork):
    def step(self, x, state):
        h, t = state
        return self.candidate(x, h), (h, t + 0.5)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Squares, "mul.Tensor of integers has no counterpart"),
        (Doubles, "a state of integers may become as large as it likes"),
        (Truncates, "add.Tensor of integers that may be of any size has no counterpart"),
        (Becomes, "it must be torch.int64"),
    ],
)
def test_integers_of_which_no_bound_is_known_are_for_the_plan(kind, reason):
    cell = build(kind)
    assert reason in Compiled().explain(cell)
    if kind is not Becomes:
        assert_same(results(Compiled(backend="torch"), cell), results(Loop(), cell))


@pytest.mark.slow
def test_another_order_in_the_buffer_has_a_kernel_of_its_own():
    cell, other = build(Permuted), build(Permuted)
    other.order.copy_(cell.order.roll(1))
    for one in (cell, other, cell):
        assert_same(results(Compiled(), one), results(Loop(), one))
    cell.order.copy_(torch.arange(4))
    assert_same(results(Compiled(), cell), results(Loop(), cell))
