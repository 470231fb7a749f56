"""The gradient check passes what is right, and catches and names every fault that is planted."""

import json

import pytest
import torch
from torch import nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import CheckError, UsageError

from ..core_cells import CORE_CELLS, TAKING_ALL
from ..slow_cases import slow_but


class Right(rnnkit.Cell):
    """A cell without fault; each of the others has one."""

    name = "right"
    state_names = ("h", "c")

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        cls.name = Right.name

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight = nn.Parameter(torch.randn(hidden_size, input_size))
        self.decay = nn.Parameter(torch.rand(hidden_size))

    def project(self, xs):
        return xs @ self.weight.mT

    def step(self, p, state):
        h, c = state
        c = self.decay * c + h * p
        h = torch.tanh(c + p)
        return h, (h, c)


def wrapped(function):
    """Return a cell whose tanh is `function`."""

    class Wrapped(Right):
        def step(self, p, state):
            h, c = state
            c = self.decay * c + h * p
            h = function.apply(c + p)
            return h, (h, c)

    return Wrapped


class WrongSign(Function):
    @staticmethod
    def forward(ctx, z):
        y = torch.tanh(z)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        (y,) = ctx.saved_tensors
        return -gradient * (1 - y**2)


class MissingTerm(WrongSign):
    @staticmethod
    def backward(ctx, gradient):
        return gradient.clone()


class NotTwice(WrongSign):
    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (y,) = ctx.saved_tensors
        return gradient * (1 - y**2)


class DetachedTwice(WrongSign):
    @staticmethod
    def backward(ctx, gradient):
        (y,) = ctx.saved_tensors
        return gradient * (1 - y.detach() ** 2)


class WrongInOneElement(WrongSign):
    @staticmethod
    def backward(ctx, gradient):
        (y,) = ctx.saved_tensors
        given = gradient * (1 - y**2)
        return given + 1e-2 * nn.functional.one_hot(torch.tensor(2), given.shape[1])


class DetachedState(Right):
    def step(self, p, state):
        h, c = state
        return super().step(p, (h, c.detach()))


class DetachedProjection(Right):
    def project(self, xs):
        return xs @ self.weight.detach().mT


class ParameterInFloat32(Right):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.decay = nn.Parameter(torch.rand(hidden_size, dtype=torch.float32))


class ComputesInFloat32(Right):
    def step(self, p, state):
        h, c = state
        c = self.decay * c + h * p
        h = torch.tanh((c + p).float()).double()
        return h, (h, c)


class WritesOnTheState(Right):
    def step(self, p, state):
        state[1].mul_(0.5)
        return super().step(p, state)


class WritesOnTheInput(Right):
    def project(self, xs):
        return xs.add_(1) @ self.weight.mT


class WritesOnTheProjection(Right):
    def step(self, p, state):
        return super().step(p.mul_(2), state)


class WritesOnAParameter(Right):
    def step(self, p, state):
        with torch.no_grad():
            self.decay.mul_(0.99)
        return super().step(p, state)


@pytest.mark.parametrize("unroller", TAKING_ALL)
@pytest.mark.parametrize("order", [1, 2])
def test_a_right_cell_passes(unroller, order):
    report = rnnkit.gradcheck(Right, unroller, order)
    assert report.ok
    assert report.failures == []
    assert report.raise_if_failed() is report
    assert (report.cell, report.unroller, report.order) == ("right", unroller, order)
    assert [(row.tensor, row.shape) for row in report.rows] == [
        ("input", (5, 2, 3)),
        ("h0", (2, 4)),
        ("c0", (2, 4)),
        ("weight", (4, 3)),
        ("decay", (4,)),
    ]
    for row in report.rows:
        assert row.ok
        assert row.gradient_norm > 0
        assert row.absolute_error < 1e-7
        assert row.relative_error < 1e-6


EVERYTHING = {"input", "h0", "c0", "weight", "decay"}
WRONG_GRADIENTS = {
    "wrong sign": (wrapped(WrongSign), 1, EVERYTHING),
    "missing term": (wrapped(MissingTerm), 1, EVERYTHING),
    "wrong in one element": (wrapped(WrongInOneElement), 1, EVERYTHING),
    "detached state": (DetachedState, 1, {"c0"}),
    "detached projection": (DetachedProjection, 1, {"weight"}),
    "second derivative missing": (wrapped(DetachedTwice), 2, {"input", "weight"}),
}


@pytest.mark.covering(1)
@pytest.mark.parametrize("unroller", TAKING_ALL)
@pytest.mark.parametrize("fault", WRONG_GRADIENTS)
def test_a_wrong_gradient_is_named_with_its_index(fault, unroller):
    cell, order, wrong = WRONG_GRADIENTS[fault]
    report = rnnkit.gradcheck(cell, unroller, order)
    assert not report.ok
    assert report.problems == ()
    failed = {row.tensor: row for row in report.rows if not row.ok}
    assert failed.keys() >= wrong
    for name, row in failed.items():
        assert row.problem.startswith(f"the gradient of {name} at {list(row.index)} is wrong: autograd says ")
        assert all(0 <= i < size for i, size in zip(row.index, row.shape, strict=True))
        assert row.absolute_error > 1e-7
    with pytest.raises(CheckError) as caught:
        report.raise_if_failed()
    assert caught.value.failures == report.failures == [row.problem for row in failed.values()]
    assert str(caught.value).startswith(f"right x {unroller}, order {order}: the gradient of ")


def test_a_fault_in_one_element_is_found_at_that_element():
    report = rnnkit.gradcheck(wrapped(WrongInOneElement), steps=1)
    index = {row.tensor: row.index for row in report.rows}
    assert index["c0"][1] == index["weight"][0] == index["decay"][0] == 2


def test_a_detached_state_leaves_the_other_tensors_right():
    report = rnnkit.gradcheck(DetachedProjection)
    assert [row.tensor for row in report.rows if not row.ok] == ["weight"]
    assert report.rows[3].gradient_norm == 0


@pytest.mark.parametrize("function", [NotTwice, DetachedTwice])
def test_a_wrong_second_derivative_passes_order_1_and_fails_order_2(function):
    assert rnnkit.gradcheck(wrapped(function), order=1).ok
    report = rnnkit.gradcheck(wrapped(function), order=2)
    assert [row.tensor for row in report.rows if not row.ok] == ["input", "h0", "c0", "weight", "decay"]


def test_a_parameter_left_in_float32_is_named():
    report = rnnkit.gradcheck(ParameterInFloat32)
    assert report.failures == [
        "decay is torch.float32 where the others are not: it was created with a dtype of its own"
    ]


def test_a_step_in_float32_is_caught():
    assert any(row.tensor == "h0" and not row.ok for row in rnnkit.gradcheck(ComputesInFloat32).rows)


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (WritesOnTheState, "step() writes in place on its state 'c'"),
        (WritesOnTheInput, "project() writes in place on its input"),
        (WritesOnTheProjection, "step() writes in place on p, its slice of the projection"),
        (WritesOnAParameter, "step() writes in place on parameter 'decay'"),
    ],
)
@pytest.mark.parametrize("unroller", TAKING_ALL)
def test_writing_in_place_is_named(cell, sentence, unroller):
    report = rnnkit.gradcheck(cell, unroller)
    (failure,) = report.failures
    said, _, place = failure.rpartition(" (")
    assert said == f"cell 'right': {sentence}; compute a new tensor instead"
    assert "test_gradcheck.py:" in place


def test_a_step_of_the_wrong_arity_is_a_problem_not_an_exception():
    class OneState(Right):
        def step(self, p, state):
            y, (h, _) = super().step(p, state)
            return y, (h,)

    (sentence,) = rnnkit.gradcheck(OneState).failures
    assert sentence.endswith("step() returned 1 state tensors; state_names declares ('h', 'c')")


def test_a_gradient_of_nan_fails():
    class Cusp(Right):
        def step(self, p, state):
            y, state = super().step(p, state)
            return y + (p - p.detach()).square().sqrt(), state

    assert not rnnkit.gradcheck(Cusp).ok


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("cell", [Right, wrapped(WrongSign)], ids=["right", "wrong"])
def test_json(cell, order):
    report = rnnkit.gradcheck(cell, order=order)
    line = report.to_json()
    read = json.loads(line)
    assert "\n" not in line
    assert (read["ok"], read["cell"], read["unroller"], read["order"]) == (report.ok, "right", "loop", order)
    assert [(row["tensor"], row["ok"], tuple(row["index"]), row["absolute_error"]) for row in read["rows"]] == [
        (row.tensor, row.ok, row.index, row.absolute_error) for row in report.rows
    ]


def test_json_of_figures_that_are_not_finite():
    class Overflowing(Right):
        def step(self, p, state):
            y, state = super().step(p, state)
            return y * 1e200 * (1e200 * p), state

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    report = rnnkit.gradcheck(Overflowing)
    assert not report.ok
    assert json.loads(report.to_json(), parse_constant=refuse)["ok"] is False


@pytest.mark.parametrize("unroller", slow_but(["loop"], TAKING_ALL))
@pytest.mark.parametrize("name", slow_but(["lstm", "rnn", "residual"], CORE_CELLS))
def test_a_layer_of_layers_and_directions(name, unroller):
    torch.manual_seed(0)
    layer = rnnkit.RNN(name, 2, 2, num_layers=2, bidirectional=True, batch_first=True)
    report = rnnkit.gradcheck(layer, unroller, steps=3).raise_if_failed()
    names = [row.tensor for row in report.rows]
    assert names[0] == "input"
    assert set(names[1:]) == {f"{state}0" for state in layer.state_names} | dict(layer.named_parameters()).keys()
    assert next(iter(layer.parameters())).dtype == torch.float32  # it was a copy that was checked
    assert layer.batch_first


def test_a_fault_in_a_layer_is_named_by_the_layer_s_names():
    report = rnnkit.gradcheck(rnnkit.RNN(DetachedProjection, 2, 2, num_layers=2, dtype=torch.float64))
    assert [row.tensor for row in report.rows if not row.ok] == ["weight_l0", "weight_l1"]


@pytest.mark.parametrize("order", [1, 2])
def test_lengths_hold_through_a_layer(order):
    layer = rnnkit.RNN("lstm", 2, 2, bidirectional=True, dtype=torch.float64)
    report = rnnkit.gradcheck(layer, order=order, steps=4, batch_size=3, lengths=[4, 1, 2]).raise_if_failed()
    assert report.rows[0].shape == (4, 3, 2)


def test_a_built_cell_is_checked_with_its_own_weights():
    with building(None, torch.float64):
        cell = Right(3, 4)
    nn.init.zeros_(cell.weight)
    before = cell.weight.clone()
    rows = {row.tensor: row for row in rnnkit.gradcheck(cell).raise_if_failed().rows}
    assert rows["input"].gradient_norm == 0
    assert rows["weight"].gradient_norm > 0
    assert torch.equal(cell.weight, before)
    assert cell.weight.grad is None


def test_options_reach_the_cell():
    assert {row.tensor for row in rnnkit.gradcheck("lstm", bias=False).rows} == {
        "input",
        "h0",
        "c0",
        "weight_ih",
        "weight_hh",
    }


def test_the_global_random_state_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    rnnkit.gradcheck("rnn")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"subject": "lstm", "order": 3}, "order is 3; it must be 1 or 2"),
        ({"subject": "lsmt"}, "did you mean 'lstm'"),
        ({"subject": "lstm", "unroller": "lop"}, "did you mean 'loop'"),
        ({"subject": "lstm", "slope": 1}, "cell 'lstm' has no option 'slope'; its options: bias"),
        ({"subject": Right(2, 2), "bias": True}, "options of the cell go with a name or class"),
        ({"subject": 7}, "the cell is 7; it must be a registered name or a class derived from Cell"),
    ],
)
def test_what_makes_no_sense_raises(arguments, sentence):
    with pytest.raises(UsageError, match=sentence):
        rnnkit.gradcheck(arguments.pop("subject"), **arguments)


class Learnt(rnnkit.Cell):
    """A parameter called as a state row is, and an initial state made of it."""

    name = "learnt"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.h0 = torch.nn.Parameter(torch.rand(hidden_size))
        self.read = torch.nn.Linear(input_size, hidden_size)

    def initial_state(self, batch_size):
        return (self.h0.expand(batch_size, -1),)

    def step(self, p, state):
        h = torch.tanh(self.read(p) + 0.5 * state[0])
        return h, (h,)


class LearntButCutOff(Learnt):
    def initial_state(self, batch_size):
        return (self.h0.detach().expand(batch_size, -1),)


@pytest.mark.parametrize("unroller", ["loop", "checkpoint"])
@pytest.mark.parametrize("order", [1, 2])
def test_a_learnt_initial_state_is_proven_too(unroller, order):
    report = rnnkit.gradcheck(Learnt, unroller, order).raise_if_failed()
    assert {"h0", "parameter h0"} <= {row.tensor for row in report.rows}
    assert all(row.gradient_norm > 0 for row in report.rows)


def test_an_initial_state_that_is_cut_off_is_caught_and_named():
    (failure,) = rnnkit.gradcheck(LearntButCutOff).failures
    assert "the gradient of parameter h0 at [" in failure


class WithoutGradient(Learnt):
    def step(self, p, state):
        with torch.no_grad():
            return super().step(p, state)


class Signs(Learnt):
    def step(self, p, state):
        h = torch.sign(self.read(p) + state[0])
        return h, (h,)


@pytest.mark.parametrize("kind", [WithoutGradient, Signs])
@pytest.mark.parametrize("order", [1, 2])
def test_nothing_to_differentiate_is_no_success(kind, order):
    assert "all gradients are zero" in rnnkit.gradcheck(kind, order=order).failures[0]


def test_the_stray_is_blamed_though_it_comes_first():
    class First(Learnt):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.h0 = torch.nn.Parameter(torch.rand(hidden_size, dtype=torch.float32))

    torch.set_default_dtype(torch.float64)
    try:
        cell = First(3, 4)
    finally:
        torch.set_default_dtype(torch.float32)
    (failure,) = rnnkit.gradcheck(cell).failures
    assert "h0 is torch.float32 where the others are not" in failure
