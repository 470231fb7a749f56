"""check_cell: a good cell passes; each broken promise is caught, and no other is blamed."""

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit import testing
from rnnkit.errors import CheckError

from ..slow_cases import slow_but
from .broken_cells import Whole


class Good(Whole):
    """Keeps every promise; each of the others breaks one."""

    name = "good"


class Dropped(Good):
    def project(self, xs):
        rate = 0.5 if self.training else 0.0
        return self.inward(xs) * torch.bernoulli(torch.full_like(xs[..., :1], 1 - rate))


class TooFewStates(Good):
    def step(self, p, state):
        y, (h, _) = super().step(p, state)
        return y, (h,)


class StateIsAList(Good):
    def step(self, p, state):
        y, state = super().step(p, state)
        return y, list(state)


class StateGrows(Good):
    def step(self, p, state):
        y, (h, c) = super().step(p, state)
        return y, (h, torch.cat([c, c], dim=1))


class InitialStateTooShort(Good):
    def initial_state(self, batch_size):
        return super().initial_state(batch_size)[:1]


class InitialStateWithoutBatch(Good):
    def initial_state(self, batch_size):
        h, c = super().initial_state(batch_size)
        return h, c[0]


class WrongOutputSize(Good):
    def step(self, p, state):
        y, state = super().step(p, state)
        return y[:, :2], state


class NamesTwice(Good):
    state_names = ("h", "h")


class BatchFirst(Good):
    def project(self, xs):
        return super().project(xs).transpose(0, 1)

    def step(self, p, state):
        return super().step(p[: state[0].shape[0]], state)


class DtypeOfItsOwn(Good):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.register_buffer("scale", torch.ones(hidden_size, dtype=torch.float32))


class PlainTensor(Good):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.scale = torch.ones(hidden_size)

    def step(self, p, state):
        return super().step(p * self.scale, state)


class LooksAtValues(Good):
    def step(self, p, state):
        return super().step(p if p.sum() > -1e9 else -p, state)


class WritesInPlace(Good):
    def step(self, p, state):
        h, c = state
        c.mul_(0.5).add_(torch.tanh(p))
        h = torch.tanh(c + h @ self.across)
        return h, (h, c)


class BatchNormalised(Good):
    def step(self, p, state):
        return super().step(p - p.mean(0), state)


class DrawsInTheStep(Good):
    def step(self, p, state):
        return super().step(p + 0 * torch.rand(()), state)


class LooksAhead(Good):
    def project(self, xs):
        return super().project(xs + xs.roll(-1, 0))


class OddForward(Good):
    def forward(self, x, state=None):
        y, state = super().forward(x, state)
        return 2 * y, state


class DetachedState(Good):
    def step(self, p, state):
        return super().step(p, (state[0], state[1].detach()))


class DetachedSecondGradient(Good):
    class Tanh(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            ctx.save_for_backward(z)
            return torch.tanh(z)

        @staticmethod
        def backward(ctx, gradient):
            return gradient * (1 - torch.tanh(ctx.saved_tensors[0].detach()) ** 2)

    def step(self, p, state):
        h, c = state
        c = 0.5 * c + p
        h = self.Tanh.apply(c + h @ self.across)
        return h, (h, c)


class CountsItsSteps(Good):
    """Goes by how often it was called, which every unroller does in its own way."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.calls = 0

    def project(self, xs):
        self.calls = 0
        return super().project(xs)

    def step(self, p, state):
        self.calls += 1
        return super().step(p / self.calls if torch.is_grad_enabled() else p, state)


class CannotBeBuilt(Good):
    def __init__(self, input_size, hidden_size):
        raise RuntimeError("no such weights")


BROKEN_CELLS = {
    TooFewStates: {"shapes and state": "step() returned 1 state tensors; state_names declares ('h', 'c')"},
    StateIsAList: {"shapes and state": "the state returned by step() is a list; it must be a tuple of tensors"},
    StateGrows: {"shapes and state": "state returned by step() 'c' has shape (3, 10); it must be (3, 5)"},
    InitialStateTooShort: {
        "shapes and state": "initial_state() returns 1 state tensors; state_names declares ('h', 'c')"
    },
    InitialStateWithoutBatch: {"shapes and state": "initial_state(3) gives 'c' the shape (5,); the batch comes first"},
    WrongOutputSize: {"shapes and state": "step() returns an output of shape (3, 2); output_size says (3, 5)"},
    NamesTwice: {"shapes and state": "state_names is ('h', 'h'); it must be a tuple of different words"},
    BatchFirst: {"shapes and state": "project() gives shape (3, 6, 5); it must begin with (time, batch) = (6, 3)"},
    CannotBeBuilt: {"shapes and state": "cell 'cannotbebuilt' cannot be built: RuntimeError: no such weights"},
    DtypeOfItsOwn: {
        "dtype": "scale is torch.float32 in a cell built as torch.float64; create it without a dtype of its own"
    },
    PlainTensor: {"device": "attribute 'scale' is a plain tensor, which .to() leaves behind; use register_buffer()"},
    LooksAtValues: {"device": "a step on the meta device fails, so it looks at values or names a device"},
    WritesInPlace: {"purity": "step() writes in place on its state 'c'; compute a new tensor instead"},
    BatchNormalised: {"rows are independent": "the output of one row depends on another row of the batch"},
    DrawsInTheStep: {"determinism": "step() draws random numbers; draw them in project(), for the whole sequence"},
    LooksAhead: {
        "project agrees with step": "project() of the sequence and of step 0 alone differ; "
        "a step may use its own input only"
    },
    OddForward: {"project agrees with step": "the output differs between forward() and step() of the projection"},
    DetachedState: {"gradients": "the gradient of c0 at"},
    DetachedSecondGradient: {"second gradients": "the gradient of"},
}


class Attentive(rnnkit.Cell):
    """Attends to its input and state; draws only where a rate says so."""

    state_names = ("h", "m")

    def __init__(self, input_size, hidden_size, *, rate=0.0):
        super().__init__(input_size, hidden_size)
        self.read = nn.Linear(input_size, hidden_size)
        self.attention = nn.MultiheadAttention(hidden_size, 1, dropout=rate, batch_first=True)

    def step(self, p, state):
        kept = torch.stack([torch.tanh(self.read(p)), *state], 1)
        y = self.attention(kept, kept, kept)[0][:, 0]
        return y, (y, state[0])


def test_what_could_draw_and_does_not_is_accepted():
    assert testing.inspect_cell(Attentive).failures == []
    assert any("step() draws random numbers" in fault for fault in testing.inspect_cell(Attentive, rate=0.5).failures)


@pytest.mark.parametrize(
    "kind", slow_but([Good, Dropped, rnnkit.cells["lstm"]], [Good, Dropped, *rnnkit.cells.values()])
)
def test_good_cells_pass(kind):
    found = testing.check_cell(kind)
    assert found.ok
    assert len(found.promises) == 12
    assert found.failures == []


def test_options_reach_the_cell():
    assert testing.check_cell(rnnkit.cells["rnn"], nonlinearity="relu", bias=False).ok


@pytest.mark.one_in(2)
@pytest.mark.parametrize("kind", BROKEN_CELLS, ids=lambda kind: kind.__name__)
def test_a_broken_cell_is_caught_and_nothing_else_is_blamed(kind):
    expected = BROKEN_CELLS[kind]
    found = testing.inspect_cell(kind)
    broken = {promise: sentences for promise, sentences in found.promises.items() if sentences}
    assert broken.keys() == expected.keys(), broken
    for promise, sentence in expected.items():
        assert any(sentence in line for line in broken[promise]), broken
    assert all(line.startswith(f"cell {kind.name!r}") for line in found.failures)
    with pytest.raises(CheckError) as caught:
        testing.check_cell(kind)
    assert caught.value.failures == found.failures
    assert str(caught.value).startswith(f"cell {kind.name!r} breaks {found.broken} of its promises:\n")


def test_a_cell_that_remembers_its_calls_is_caught_before_an_unroller_that_cannot_repeat_them():
    found = testing.inspect_cell(CountsItsSteps)
    assert "step() changes its attribute 'calls' at each call" in found.promises["determinism"][0]
    assert "every unroller's law" not in found.promises


class GoesByTheGradientMode(Good):
    """Steps otherwise where no gradients are taken, as a replaying unroller does first."""

    def step(self, p, state):
        return super().step(p if torch.is_grad_enabled() else p / 2, state)


def test_a_cell_that_an_unroller_cannot_repeat_breaks_its_law():
    found = testing.inspect_cell(GoesByTheGradientMode)
    assert any("unroller checkpoint" in line for line in found.promises["every unroller's law"])


def test_a_random_initial_state_is_caught():
    class Random(rnnkit.cells["gru"]):
        name = "random"

        def initial_state(self, batch_size):
            return (torch.randn(batch_size, self.hidden_size),)

    found = rnnkit.testing.inspect_cell(Random).promises
    assert "initial_state() gives another 'h' at each call" in found["determinism"][0]


def test_noise_drawn_in_project_is_no_fault():
    class Noisy(rnnkit.cells["gru"]):
        name = "noisy"

        def project(self, xs):
            return super().project(xs + 0.1 * torch.randn_like(xs))

    rnnkit.testing.check_cell(Noisy)


def test_a_buffer_that_counts_steps_is_caught():
    class Counting(rnnkit.cells["gru"]):
        name = "counting"

        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.register_buffer("count", torch.zeros(()))

        def step(self, p, state):
            self.count += 1
            return super().step(p, state)

    assert "step() writes in place on buffer 'count'" in rnnkit.testing.inspect_cell(Counting).promises["purity"][0]


class Normalised(Good):
    """As an sLSTM: the second state divides, and is positive."""

    state_names = ("c", "n")
    state_domains = {"n": "positive"}  # noqa: RUF012

    def step(self, p, state):
        c, n = state
        gate = torch.sigmoid(p)
        n = gate * n + 1 - gate
        c = gate * c + (1 - gate) * torch.tanh(p + c @ self.across)
        return c / n.sqrt(), (c, n)

    def initial_state(self, batch_size):
        c, _ = super().initial_state(batch_size)
        return c, torch.ones_like(c)


def test_states_are_drawn_within_the_domain_that_a_cell_declares():
    assert testing.check_cell(Normalised).ok
    assert testing.check_cell(rnnkit.cells["residual"], inner=Normalised).ok
    anywhere = type("Anywhere", (Normalised,), {"state_domains": {}})
    assert not testing.inspect_cell(anywhere).ok  # roots of negative numbers


@pytest.mark.parametrize(
    ("domains", "sentence"),
    [
        ({"m": "positive"}, "state_domains has 'm'; its states are ('c', 'n')"),
        (("n",), "state_domains is ('n',); it must be a dict, from the name of a state to its domain"),
        ({"n": "posh"}, "state_domains calls 'n' 'posh'; it must be one of real, positive"),
    ],
)
def test_a_domain_that_there_is_not_is_a_sentence(domains, sentence):
    odd = type("Odd", (Normalised,), {"state_domains": domains})
    assert any(sentence in failure for failure in testing.inspect_cell(odd).failures)


class Straight(Good):
    """Rounds forward, and passes the gradient straight through."""

    def step(self, p, state):
        _, (h, c) = super().step(p, state)
        h = h + (torch.round(4 * h) / 4 - h).detach()
        return h, (h, c)


def test_a_straight_through_gradient_is_declared_or_wrong():
    assert any("the gradient of" in failure for failure in testing.inspect_cell(Straight).failures)
    declared = type("Declared", (Straight,), {"straight_through": True})
    report = testing.check_cell(declared)
    assert any("declares straight_through: no gradient is held to the differences" in note for note in report.notes)
    assert any("zoneout" not in note for note in testing.check_cell(rnnkit.cells["zoneout"], inner=declared).notes)


def test_sizes_are_the_callers(monkeypatch):
    seen = set()

    class Sized(Good):
        def step(self, p, state):
            seen.add(tuple(state[0].shape))
            return super().step(p, state)

    assert testing.check_cell(Sized, batch_size=8, input_size=2, hidden_size=11).ok
    assert (8, 11) in seen
    with pytest.raises(rnnkit.errors.UsageError, match="hidden_size is 0"):
        testing.check_cell(Sized, hidden_size=0)


def test_every_way_of_every_unroller_is_tried_and_told():
    (note,) = testing.check_cell(Good).notes
    for way in ("checkpoint", "compiled(backend='cpp')", "compiled(backend='torch')"):
        assert way in note


class WrongInThePlan(Good):
    """Has a gradient cut in a way that its operations do not show, at sizes where the plan would be worth it."""

    def step(self, p, state):
        _, (h, c) = super().step(p, state)
        with torch.no_grad():
            h.clamp_(-0.1, 0.1)
        return h, (h, c)


def test_what_no_backend_can_run_is_left_to_the_loop():
    (note,) = testing.inspect_cell(WrongInThePlan).notes
    assert "compiled" not in note
