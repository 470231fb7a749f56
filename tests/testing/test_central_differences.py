"""Differences of a whole tensor in one batched pass are those that are taken one by one, or there are none."""

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.core.cell import building
from rnnkit.testing import central_differences
from rnnkit.testing.central_differences import BatchedDifferences, differences_one_by_one
from rnnkit.testing.gradient_probe import GradientProbe

from ..core_cells import CORE_CELLS
from ..slow_cases import slow_but

LOOP = rnnkit.unrollers["loop"]
every_order = pytest.mark.parametrize("order", [1, 2])


class Plain(rnnkit.Cell):
    """h = tanh(p + h A), and what a test makes of it."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.across = nn.Parameter(torch.randn(hidden_size, hidden_size))
        self.inward = nn.Linear(input_size, hidden_size)

    def project(self, xs):
        return self.inward(xs)

    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across)
        return h, (h,)


class Tied(Plain):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.again = self.across

    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across @ self.again)
        return h, (h,)


class Branching(Plain):
    def step(self, p, state):
        y, state = super().step(p, state)
        return (y if y.sum() > 0 else 2 * y), state


class Remembering(Plain):
    """What it leaves on itself is the wrapper of a transform, and nothing later."""

    def step(self, p, state):
        h = state[0] + 0.0 * getattr(self, "last", torch.zeros(()))
        self.last = state[0].detach()
        return super().step(p, (h,))


class Dropping(Plain):
    def step(self, p, state):
        y, (h,) = super().step(p, state)
        return nn.functional.dropout(y, 0.5), (h,)


class InAClosure(Plain):
    """A gradient is lost where only the module itself, not a copy of it, shows that there is one."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.squash = lambda h: torch.tanh(h) * self.across.detach()[0]

    def step(self, p, state):
        h = self.squash(p) + state[0]
        return h, (h,)


class InAList(InAClosure):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.held = [self.across]
        self.squash = None

    def step(self, p, state):
        h = torch.tanh(p) * self.held[0].detach()[0] + state[0]
        return h, (h,)


class Cached(InAList):
    """Computes what it needs of a weight when that has changed in place."""

    def step(self, p, state):
        if getattr(self, "version", -1) != self.across._version:
            self.version, self.gain = self.across._version, self.across.detach()[0].exp()
        h = torch.tanh(p) * self.gain + state[0]
        return h, (h,)


class Half(LOOP):
    """Gives half of the output, with the gradient of that."""

    name = "half"

    def __call__(self, cell, xs, state=None, **masks):
        ys, last = super().__call__(cell, xs, state, **masks)
        return ys / 2, last


def probed(subject, unroller=None, lengths=None):
    with building(None, torch.float64):
        torch.manual_seed(0)
        cell = subject(2, 2) if isinstance(subject, type) else rnnkit.cells[subject](2, 2)
    probe = GradientProbe(cell, unroller or LOOP(), 4, 2, lengths, seed=0)
    probe.loss()  # draws the weights of the outputs
    return probe


def all_of(probe, order):
    batched = BatchedDifferences(probe, order)
    return {name: batched.of(name) for name, tensor in probe.tensors.items() if tensor.requires_grad}


@every_order
@pytest.mark.parametrize("subject", slow_but(["lstm", "zoneout", Tied, Dropping], [*CORE_CELLS, Tied, Dropping]))
def test_they_are_those_that_are_taken_one_by_one(subject, order):
    probe = probed(subject, lengths=(4, 2))
    for name, differences in all_of(probe, order).items():
        expected = differences_one_by_one(probe, name, order)
        torch.testing.assert_close(
            differences, expected, rtol=1e-6, atol=1e-7, msg=lambda text, of=name: f"{of}: {text}"
        )


@every_order
def test_many_numbers_are_taken_in_several_passes(order, monkeypatch):
    whole = all_of(probed("lstm"), order)
    monkeypatch.setattr(central_differences, "VALUES", 500)
    passes = all_of(probed("lstm"), order)
    torch.testing.assert_close(passes, whole, rtol=1e-6, atol=1e-7)


@every_order
@pytest.mark.parametrize("kind", [Branching, Remembering])
def test_what_cannot_be_batched_has_none_and_is_checked_all_the_same(kind, order):
    differences = all_of(probed(kind), order)
    assert any(each is None for each in differences.values())
    with building(None, torch.float64):
        torch.manual_seed(0)
        rnnkit.gradcheck(kind(3, 4), "loop", order).raise_if_failed()


def test_an_unroller_that_gives_something_else_has_none():
    assert set(all_of(probed(Plain, Half()), 1).values()) == {None}
    rnnkit.gradcheck(Plain, Half()).raise_if_failed()


@every_order
@pytest.mark.parametrize("kind", [InAClosure, InAList, Cached])
def test_a_use_that_a_copy_does_not_know_of_hides_no_lost_gradient(kind, order):
    report = rnnkit.gradcheck(kind, "loop", order, steps=3, hidden_size=2)
    assert ["across" in sentence for sentence in report.failures] == [True]


def test_a_long_sequence_is_batched_in_parts(monkeypatch):
    passes = []
    vmap = torch.func.vmap
    monkeypatch.setattr(torch.func, "vmap", lambda *given, **words: passes.append(1) or vmap(*given, **words))
    monkeypatch.setattr(central_differences, "VALUES", 20_000)
    assert rnnkit.gradcheck("rnn", steps=40, hidden_size=2, batch_size=2, input_size=1).ok
    assert len(passes) > 6


def test_nothing_of_the_module_is_changed():
    probe = probed(Plain)
    before = {name: tensor.detach().clone() for name, tensor in probe.tensors.items()}
    places = dict(probe.module.named_parameters())
    all_of(probe, 2)
    assert {name: tensor.detach() for name, tensor in probe.tensors.items()}.keys() == before.keys()
    assert all(torch.equal(probe.tensors[name], tensor) for name, tensor in before.items())
    assert all(places[name] is parameter for name, parameter in probe.module.named_parameters())


def test_before_a_gradient_is_called_wrong_its_differences_are_taken_one_by_one(monkeypatch):
    monkeypatch.setattr(BatchedDifferences, "of", lambda self, name: torch.zeros_like(self.probe.tensors[name]))
    assert rnnkit.gradcheck("rnn", steps=3, hidden_size=2).ok
