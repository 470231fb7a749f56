"""A float that changes from call to call is read at each call, after a few recordings; numbers are the loop's."""

import logging
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import rnnkit
from rnnkit_compiler.compiled import BACKENDS, Compiled

XS = torch.randn(5, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
VALUES = (0.7, 0.6, 0.45, 1.3, 0.35, 1.0, 0.0, -0.25, 2.0, 0.51, 0.52, 0.53)


def cell_of(use, **options):
    """Return a cell, of a class of its own, that multiplies what it reads by a use of its number."""

    class Annealed(rnnkit.Cell):
        name = "annealed"

        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.read = nn.Linear(input_size + hidden_size, hidden_size)
            self.scale = nn.Parameter(torch.tensor(1.25))
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
            self.tau, self.rate = 0.5, 0.25

        def step(self, x, state):
            (h,) = state
            h = torch.tanh(use(self, self.read(torch.cat([x, h], 1)), h))
            return h, (h,)

    return Annealed(4, 6, **options).double()


READ_AT_EACH_CALL = {
    "divided by": lambda c, a, h: a / (c.tau + 2),
    "times": lambda c, a, h: c.tau * a,
    "a power": lambda c, a, h: a.abs() ** (c.tau + 3),
    "two": lambda c, a, h: a * c.tau + h * (1 - c.rate),
    "on a parameter": lambda c, a, h: a * (c.scale * c.tau),
    "a softmax": lambda c, a, h: torch.softmax(a * c.tau, 1),
    "a mixture": lambda c, a, h: c.tau * a + (1 - c.tau) * h,
    "chosen": lambda c, a, h: torch.where(a > c.tau, a, h),
    "less": lambda c, a, h: a - c.tau,
}

IN_PYTHON = {
    "a branch": lambda c, a, h: a if c.tau > 0.5 else -a,
    "a root": lambda c, a, h: a * math.sqrt(abs(c.tau)),
    "a text": lambda c, a, h: a * len(f"{c.tau}"),
    "rounded": lambda c, a, h: a * round(c.tau),
    "an argument": lambda c, a, h: F.leaky_relu(a, c.tau),
    "a fill": lambda c, a, h: a * torch.full((6,), c.tau, dtype=a.dtype),
    "a literal": lambda c, a, h: a * torch.tensor(c.tau, dtype=a.dtype),
    "in a list": lambda c, a, h: a * torch.tensor([c.tau, 1.0, 2.0, 3.0, c.tau, 0.5], dtype=a.dtype),
    "the larger": lambda c, a, h: a * max(c.tau, 0.5),
    "if there is one": lambda c, a, h: a * (c.tau or 3.0),
    "its type, at times": lambda c, a, h: -a if type(c.tau) is float and a.dim() and c.tau > 1 else a,
    "a kind of number": lambda c, a, h: a * (1.0 if isinstance(c.tau, (int, float)) else 2.0),
    "its type": lambda c, a, h: a * (c.tau if isinstance(c.tau, float) else 7.0),
    "whether it is a tensor": lambda c, a, h: a * (7.0 if torch.is_tensor(c.tau) else c.tau),
    "in its dictionary": lambda c, a, h: a * vars(c).get("tau", 7.0),
    "of a lookup": lambda c, a, h: a * {1.0: 0.5}.get(c.tau, 2.0),
}


def results(unroller, cell):
    """Return outputs, state and gradients."""
    xs = XS.clone().requires_grad_()
    ys, state = unroller(cell, xs)
    leaves = [xs, *(p for p in cell.parameters())]
    loss = ys.square().sum() + state[0].sum()
    return [ys, *state, *torch.autograd.grad(loss, leaves, allow_unused=True)]


def assert_equal(results, expected):
    for one, other in zip(results, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def annealed_over(cell, unroller, values=VALUES):
    for value in values:
        cell.tau = value
        if hasattr(cell, "rate"):
            cell.rate = value / 3
        assert_equal(results(unroller, cell), results(rnnkit.unrollers["loop"](), cell))


@pytest.mark.parametrize("use", READ_AT_EACH_CALL)
def test_a_number_that_changes_is_read_at_each_call(use, recorded, caplog):
    cell = cell_of(READ_AT_EACH_CALL[use])
    with caplog.at_level(logging.WARNING, "rnnkit"):
        annealed_over(cell, Compiled())
    assert len(recorded) == 5  # of three numbers, of all, of zero
    assert not caplog.records
    explained = Compiled().explain(cell)
    assert explained.startswith("backend: cpp\nread at each call, since it changes: tau, rate\n")


@pytest.mark.parametrize("use", IN_PYTHON)
def test_one_that_python_needs_stays_in_the_recording(use, recorded):
    cell = cell_of(IN_PYTHON[use])
    annealed_over(cell, Compiled())
    assert len(recorded) == len(VALUES) + 1  # for each number, and a trial
    assert "read at each call" not in Compiled().explain(cell)


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "triton"])
def test_each_backend_reads_it(backend, recorded):
    cell = cell_of(READ_AT_EACH_CALL["two"])
    annealed_over(cell, Compiled(backend=backend))
    assert len(recorded) <= 6


def test_a_layer_and_its_stepper_read_it(recorded):
    layer = rnnkit.RNN(type(cell_of(READ_AT_EACH_CALL["two"])), 4, 6, num_layers=2, unroller="compiled").double()
    loop = rnnkit.RNN(type(layer.cells[0]), 4, 6, num_layers=2, unroller="loop").double()
    loop.load_state_dict(layer.state_dict())
    for value in (*VALUES, *(2.5,) * 4, *VALUES):
        for one in (*layer.cells, *loop.cells):
            one.tau = value
        assert_equal(layer(XS), loop(XS))
        with torch.no_grad():
            assert_equal(layer(XS[:1]), loop(XS[:1]))
    assert len(recorded) < 10


def test_float32_is_as_near_as_the_loop():
    cell = cell_of(READ_AT_EACH_CALL["two"])
    narrow = cell_of(READ_AT_EACH_CALL["two"]).float()
    narrow.load_state_dict(cell.state_dict())
    for value in VALUES:
        cell.tau = narrow.tau = value
        exact = results(rnnkit.unrollers["loop"](), cell)[0]
        xs = XS.float()
        ours, loops = (unroller(narrow, xs)[0].double() for unroller in (Compiled(), rnnkit.unrollers["loop"]()))
        assert (ours - exact).norm() <= 2 * (loops - exact).norm() + 1e-7


def test_one_of_a_submodule_is_read_and_a_whole_number_is_not(recorded):
    class Scaling(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = 1.0

        def forward(self, x):
            return x * self.factor

    cell = cell_of(lambda c, a, h: c.scaling(a))
    cell.scaling = Scaling()
    for value in (*VALUES, 2, 3):
        cell.scaling.factor = value
        assert_equal(results(Compiled(), cell), results(rnnkit.unrollers["loop"](), cell))
    assert len(recorded) == 7


def test_what_python_divides_by_zero_raises_as_in_the_loop():
    cell = cell_of(lambda c, a, h: a * (1 / c.tau))
    annealed_over(cell, Compiled(), [value for value in VALUES if value])
    cell.tau = 0.0
    with pytest.raises(ZeroDivisionError):
        Compiled()(cell, XS)


class Projecting(rnnkit.Cell):
    """Has its number in the projection, too."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read, self.again = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)
        self.tau = 0.5

    def project(self, xs):
        return self.read(xs) / self.tau

    def step(self, p, state):
        (h,) = state
        h = torch.tanh(p + self.again(h) * self.tau)
        return h, (h,)


class InItsShape(Projecting):
    """The same, where `project` stays apart from the step."""

    def project(self, xs):
        return self.read(xs).view(*xs.shape[:-1], -1) / self.tau


@pytest.mark.parametrize("kind", [Projecting, InItsShape])
@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "wrapped"])
def test_a_projection_and_a_wrapped_cell_read_it(kind, wrapped):
    cell = rnnkit.cells["zoneout"](4, 6, inner=kind).double().eval() if wrapped else kind(4, 6).double()
    for value in VALUES:
        (cell.inner if wrapped else cell).tau = value or 0.1
        assert_equal(results(Compiled(), cell), results(rnnkit.unrollers["loop"](), cell))
    assert f"read at each call, since it changes: {'inner.' if wrapped else ''}tau" in Compiled().explain(cell)


def test_second_derivatives():
    cell = cell_of(READ_AT_EACH_CALL["two"])
    annealed_over(cell, Compiled())
    xs = XS.clone().requires_grad_()
    for unroller in (Compiled(), rnnkit.unrollers["loop"]()):
        cell.tau = 0.6
        (first,) = torch.autograd.grad(unroller(cell, xs)[0].square().sum(), xs, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), xs)
        if unroller.name == "compiled":
            expected = second
    torch.testing.assert_close(second, expected, rtol=1e-9, atol=1e-11)


def test_a_cell_for_the_loop_is_not_recorded_for_each_number(recorded):
    cell = cell_of(lambda c, a, h: a * c.tau * (1.0 if a.sum().item() > 0 else 2.0))
    annealed_over(cell, Compiled())
    assert len(recorded) <= 6
