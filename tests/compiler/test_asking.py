"""Steps that ask in Python for what is in a buffer that never learns: there is a program for each content."""

import copy
import logging

import pytest
import torch
from torch import nn

from rnnkit.errors import UsageError

from .holding_cells import H, Holding
from .test_compiled_law import Compiled
from .test_holding import B, D, build
from .test_odd_cells import assert_same

T = 5


class Branches(Holding):
    """By a number that says which of several ways is meant, as neurons do that reset in several ways."""

    def hold(self):
        self.register_buffer("way", torch.tensor(0))

    def mixed(self, h):
        if self.way == 0:
            return self.recurrent(h)
        return 0.5 * self.recurrent(h) if self.way.item() == 1 else self.recurrent(torch.sin(h))

    def set(self, k):
        self.way.fill_(k % 3)


class Repeats(Holding):
    def hold(self):
        self.register_buffer("times", torch.tensor(2))

    def mixed(self, h):
        for _ in range(int(self.times)):
            h = self.recurrent(h)
        return h

    def set(self, k):
        self.times = torch.tensor(1 + k % 3)


class AsksWhetherAny(Holding):
    """Of several, and only where one of them is not zero for another buffer."""

    def hold(self):
        self.register_buffer("masked", torch.zeros(H, dtype=torch.bool))
        self.register_buffer("factor", torch.tensor(2.0))

    def mixed(self, h):
        h = self.recurrent(h)
        if not self.masked.any():
            return h
        h = h.masked_fill(self.masked, 0.0)
        return h * self.factor if float(self.factor) > 1.5 else h + self.factor

    def set(self, k):
        self.masked[0] = k % 2 == 1
        self.factor.fill_(1.0 + k % 3)


class AsksAnAttribute(Holding):
    """That is no buffer."""

    def hold(self):
        self.flag = torch.tensor(True)

    def mixed(self, h):
        return self.recurrent(h) if self.flag else h

    def set(self, k):
        self.flag = torch.tensor(k % 2 == 1)


class AsksAFrozenParameter(Holding):
    def hold(self):
        self.gain = nn.Parameter(torch.tensor(1.0), requires_grad=False)

    def mixed(self, h):
        return self.recurrent(h) * self.gain.item()

    def set(self, k):
        self.gain.data = torch.tensor(0.5 + k % 3).to(self.gain)


class TakesUnitsAsWell(Holding):
    """A permutation, whose order is compared too."""

    def hold(self):
        self.register_buffer("order", torch.arange(H))
        self.register_buffer("turned", torch.tensor(False))

    def mixed(self, h):
        h = self.recurrent(h)
        return h[:, self.order] if self.turned else h

    def set(self, k):
        self.turned.fill_(k % 3 > 0)
        self.order.copy_(torch.arange(H).roll(k))


class AsksAPart(Holding):
    """One number of several, which is not the next in memory."""

    def hold(self):
        self.flag = torch.tensor([1 + 0j]).imag

    def mixed(self, h):
        return self.recurrent(h) if self.flag.item() > 0.5 else h

    def set(self, k):
        self.flag = torch.tensor([0j, 1j, 0j, 1j])[k % 4 : k % 4 + 1].imag


class AsksForALiteral(Holding):
    def mixed(self, h):
        return self.recurrent(h) if torch.tensor([0.5]) > 0 else h

    def set(self, k):
        pass


NATIVE = (
    *(Branches, Repeats, AsksWhetherAny, AsksAnAttribute, AsksAFrozenParameter, TakesUnitsAsWell, AsksForALiteral),
    AsksAPart,
)


class AsksAParameter(Holding):
    def hold(self):
        self.gain = nn.Parameter(torch.tensor(1.0))

    def mixed(self, h):
        return self.recurrent(h) * (2 if self.gain > 0 else 1)


class AsksAState(Holding):
    def mixed(self, h):
        return self.recurrent(h) if h.sum() > 0 else h


class AsksBoth(Holding):
    def hold(self):
        self.register_buffer("least", torch.tensor(0.0))

    def mixed(self, h):
        return self.recurrent(h) if (h.sum() > self.least) else h


class AsksWhatItDraws(Holding):
    def mixed(self, h):
        return self.recurrent(h) if torch.rand(()) > 0.5 else h


class AsksWhatItHasWritten(Holding):
    """A view of what is a copy of a buffer no more."""

    def hold(self):
        self.register_buffer("least", torch.tensor([0.0]))

    def mixed(self, h):
        seen = self.least.clone()
        view = seen.view(1, 1)
        seen.fill_(0).add_(h.detach().sum())
        return self.recurrent(h) if view.item() > 0 else h


class AsksHowManyRows(Holding):
    """By operations that make a tensor of them."""

    def mixed(self, h):
        return self.recurrent(h) if torch.ones(h.shape[0]).sum() > 9 else h


class AsksAsManyAsRows(Holding):
    def hold(self):
        self.register_buffer("flag", torch.tensor(1.0))

    def mixed(self, h):
        return self.recurrent(h) if self.flag.expand(h.shape[0], 1).sum() > 9 else h


LEFT = (AsksHowManyRows, AsksAsManyAsRows, AsksAParameter, AsksAState, AsksBoth, AsksWhatItDraws, AsksWhatItHasWritten)


def outcome(layer, unroller, rows=B):
    layer.unroller = unroller
    torch.manual_seed(1)
    xs = torch.randn(T, rows, D, dtype=torch.float64, requires_grad=True)
    ys, h = layer(xs)
    leaves = [xs, *(one for one in layer.parameters() if one.requires_grad)]
    return [ys, h, *torch.autograd.grad(ys.square().sum() + h.sum(), leaves, allow_unused=True)]


@pytest.mark.parametrize("kind", NATIVE)
def test_what_is_asked_for_may_change_between_calls(kind, recorded):
    layer = build(type(kind.__name__, (kind,), {}))
    for k in (0, 1, 2, 3, 4, 5, 0, 1, 2, 5):
        layer.cells[0].set(k)
        for each in (layer, copy.deepcopy(layer)):
            for rows in (B, 1):
                assert_same(outcome(each, "compiled", rows), outcome(each, "loop", rows))
        assert Compiled().backend_of(layer.cells[0]) == "cpp"
    count = len(recorded)
    for k in (0, 1, 2, 3, 4, 5):
        layer.cells[0].set(k)
        outcome(layer, "compiled")
    assert len(recorded) == count


@pytest.mark.parametrize("kind", NATIVE)
def test_calls_that_are_prepared_see_it_too(kind):
    layers = [build(type(kind.__name__, (kind,), {})) for _ in range(2)]
    for layer, unroller in zip(layers, ("compiled", "loop"), strict=True):
        layer.unroller = unroller
    xs = torch.randn(1, 1, D, dtype=torch.float64)
    for k in (0, 0, 0, 1, 1, 2, 2, 0, 5):
        for layer in layers:
            layer.cells[0].set(k)
        with torch.no_grad():
            assert_same([*layers[0](xs)], [*layers[1](xs)])


@pytest.mark.parametrize("kind", LEFT)
def test_what_learns_or_is_of_the_rows_is_the_loops(kind):
    layer = build(type(kind.__name__, (kind,), {}))
    assert "step() reads the values of a tensor" in Compiled().explain(layer.cells[0])
    for rows in (B, B, 16):
        assert_same(outcome(layer, "compiled", rows), outcome(layer, "loop", rows))


class Divides(Holding):
    """Asks for a number that is another one in float32."""

    def hold(self):
        self.register_buffer("period", torch.tensor(0.1))

    def mixed(self, h):
        for _ in range(int(1.0 / self.period)):
            h = 0.5 * self.recurrent(h) + h
        return h


@pytest.mark.parametrize("kind", [Divides, Branches])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_asked_for_in_another_dtype(kind, dtype):
    layer = build(type(kind.__name__, (kind,), {})).to(dtype)
    found = []
    for unroller in ("compiled", "loop"):
        layer.unroller = unroller
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.float32):
            found.append(layer(torch.linspace(-1, 1, T * B * D).view(T, B, D).to(dtype))[0].float())
    tolerance = 2e-2 if kind is Branches else 0  # which is the loop's
    torch.testing.assert_close(*found, rtol=tolerance, atol=tolerance)


class ReadsOrWrites(Holding):
    """Which of the two is told by a buffer."""

    def hold(self):
        self.register_buffer("writes", torch.tensor(True))
        self.scale = 0.5

    def mixed(self, h):
        h = self.recurrent(h)
        if self.writes:
            self.scale = h.detach()
            return h
        return h * self.scale


@pytest.mark.parametrize("first", [True, False])
def test_what_one_way_writes_another_may_read(first):
    kinds = [type("ReadsOrWrites", (ReadsOrWrites,), {}) for _ in range(2)]
    found = []
    for kind, unroller in zip(kinds, ("compiled", "loop"), strict=True):
        layer, results = build(kind), []
        cell = layer.cells[0]
        for writes, scale in ((first, 0.5), (False, 0.2), (False, 0.3), (True, 0.4), (True, 0.7), (False, 0.9)) * 2:
            cell.writes.fill_(writes)
            cell.scale = scale
            results += outcome(layer, unroller)
            results += [cell.scale] if writes else []
        found.append(results)
    assert_same(*found)


class ProjectChanges(Branches):
    """Between the look at a buffer and the steps."""

    def project(self, xs):
        with torch.no_grad():
            self.way.add_(1)
        return self.inputs(xs)


class ProjectCounts(Branches):
    def hold(self):
        self.norm = nn.BatchNorm1d(H)

    def project(self, xs):
        return self.norm(self.inputs(xs).flatten(0, 1)).view(*xs.shape[:2], H)

    def mixed(self, h):
        return self.recurrent(h) if self.norm.num_batches_tracked > 2 else h


class ProjectExchanges(Branches):
    def project(self, xs):
        self.way = (self.way + 1) % 3
        return self.inputs(xs)


class ProjectTellsHowManySteps(Holding):
    """Which it does not where there is one."""

    def hold(self):
        self.steps = 0

    def project(self, xs):
        if len(xs) > 1:
            self.steps = len(xs)
        return torch.tanh(self.inputs(xs))

    def mixed(self, h):
        return self.recurrent(h) * (1.0 if self.steps < T else 0.3)


class ProjectDecides(Branches):
    """As it was, where there are few steps."""

    def project(self, xs):
        self.way.fill_(int(len(xs) >= T))
        return self.inputs(xs)


class ProjectTurns(Holding):
    """What units are taken by."""

    def hold(self):
        self.register_buffer("order", torch.arange(H))

    def project(self, xs):
        self.order.copy_(self.order.roll(1))
        return self.inputs(xs)

    def mixed(self, h):
        return self.recurrent(h)[:, self.order]


PROJECTS = (ProjectChanges, ProjectCounts, ProjectExchanges, ProjectTellsHowManySteps, ProjectDecides, ProjectTurns)


@pytest.mark.parametrize("kind", PROJECTS)
def test_what_project_changes_is_the_loops(kind):
    kinds = [type(kind.__name__, (kind,), {}) for _ in range(2)]
    found = []
    for each, unroller in zip(kinds, ("compiled", "loop"), strict=True):
        layer = build(each)
        found.append([one for _ in range(6) for one in outcome(layer, unroller)])
    assert_same(*found)
    reason = Compiled().explain(build(kinds[0]).cells[0])
    assert "project() changes" in reason or "step() changes the cell" in reason


class Linear(Branches):
    """Linear in the state one way, and not another."""

    def step(self, p, state):
        (h,) = state
        h = (0.5 * h + p) if self.way == 0 else torch.tanh(h + p)
        return h, (h,)


@pytest.mark.parametrize("unroller", ["newton", "rtrl", "auto"])
def test_unrollers_that_rely_on_what_is_proven_of_a_step(unroller):
    for kind in (Linear, Branches):
        layer = build(type(kind.__name__, (kind,), {}))
        for way in (0, 1, 2, 0, 1):
            layer.cells[0].way.fill_(way)
            assert_same(outcome(layer, unroller), outcome(layer, "loop"))


def test_a_step_that_asks_is_not_proven_to_be_linear():
    with pytest.raises(UsageError, match="asks for what is in way, which may change"):
        outcome(build(Linear), "scan")


class BeginsByItsData(Holding):
    """Sets a bias by what it sees first, as normalising flows do; kernels run the calls after that."""

    def hold(self):
        self.register_buffer("is_ready", torch.tensor(False))
        self.bias = nn.Parameter(torch.zeros(H))

    def mixed(self, h):
        if not self.is_ready:
            with torch.no_grad():
                self.bias.copy_(-h.mean(0))
                self.is_ready.fill_(True)
        return self.recurrent(h + self.bias)


def test_a_step_that_is_the_loops_with_one_content_is_native_with_another(recorded):
    kinds = [type("BeginsByItsData", (BeginsByItsData,), {}) for _ in range(2)]
    layers = [build(kind) for kind in kinds]
    found = []
    for layer, unroller in zip(layers, ("compiled", "loop"), strict=True):
        layer.cells[0].is_ready.fill_(False)
        found.append([one for _ in range(4) for one in outcome(layer, unroller)])
    assert_same(*found)
    assert Compiled().backend_of(layers[0].cells[0]) == "cpp"
    assert len(recorded) <= 4
    layers[0].cells[0].is_ready.fill_(False)
    assert "that others see" in Compiled().explain(layers[0].cells[0])


def test_each_cell_has_contents_of_its_own():
    class Layered(Branches):
        def mixed(self, h):
            return self.recurrent(h) * (1 + self.way.item())

    layers = [build(Layered) for _ in range(20)]
    for way, layer in enumerate(layers):
        layer.cells[0].way.fill_(way)
    for _ in range(2):  # those that are many are recorded at the second pass
        for layer in layers:
            assert_same(outcome(layer, "compiled"), outcome(layer, "loop"))
    assert {Compiled().backend_of(layer.cells[0]) for layer in layers} == {"cpp"}


def test_what_keeps_changing_is_the_loops(recorded, caplog):
    class Counts(Branches):
        def mixed(self, h):
            return self.recurrent(h) * (0.5 if self.way > 30 else 1.0)

    layer = build(Counts)
    with caplog.at_level(logging.WARNING, logger="rnnkit"):
        for k in range(40):
            layer.cells[0].way.fill_(k)
            assert_same(outcome(layer, "compiled"), outcome(layer, "loop"))
    assert len(recorded) < 20
    assert "asks for what is in way, and that keeps changing" in Compiled().explain(layer.cells[0])
    layer.cells[0].way.fill_(3)
    assert Compiled().backend_of(layer.cells[0]) == "cpp"
