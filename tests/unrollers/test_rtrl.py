"""Real-time recurrent learning: exact, without a history; what it leaves to the loop, and learning online."""

import statistics
import subprocess
import sys

import pytest
import torch

import rnnkit
from rnnkit.benchmark.timing import interleaved
from rnnkit.core.cell import building
from rnnkit.errors import UsageError
from rnnkit.testing import differences
from rnnkit_unrollers import _rerun
from rnnkit_unrollers.rtrl import Rtrl, online_gradients

from ..compiler.structure.shaped_cells import Base, Counter, CoupledAffine, DenseAffine, Detached, Heads, Shifted

Loop = rnnkit.unrollers["loop"]
D, H, T, B = 3, 6, 11, 2


def build(kind):
    torch.manual_seed(0)
    with building(None, torch.float64):
        return kind(D, H)


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.fixture
def reruns(monkeypatch):
    """Count the backward passes that run forward."""
    counted, original = [], _rerun.Rerun.gradients
    monkeypatch.setattr(
        _rerun.Rerun, "gradients", lambda self, given: counted.append(self.layout) or original(self, given)
    )
    return counted


@pytest.mark.parametrize("kind", [CoupledAffine, DenseAffine, Detached, Heads, Shifted], ids=lambda kind: kind.__name__)
def test_third_party_cells_obey_the_law(kind, reruns):
    cell = build(kind)
    for steps in (1, 2, 11):
        masks = {"lengths": torch.randint(1, steps + 1, (B,)), "reset": torch.rand(steps, B) < 0.3}
        assert list(differences(Rtrl(), cell, steps, B, 1e-10)) == []
        assert list(differences(Rtrl(), cell, steps, B, 1e-10, **masks)) == []
    assert len(reruns) == 6


@pytest.mark.parametrize("steps", [1, 4, 100])
@pytest.mark.parametrize("name", ["lru", "gru"])
def test_the_length_of_stretches_changes_no_number(name, steps):
    masks = {"lengths": torch.tensor([9, 5]), "reset": torch.rand(9, B) < 0.2}
    assert list(differences(Rtrl(steps=steps), build(rnnkit.cells[name]), 9, B, 1e-12, **masks)) == []


@pytest.mark.parametrize(("name", "numbers"), [("mingru", 1), ("lru", 2), ("unicornn", 2), ("gru", H), ("qrnn", D + H)])
def test_the_influence_has_as_many_numbers_as_the_jacobian_asks_for(reruns, name, numbers):
    cell = build(rnnkit.cells[name])
    Rtrl()(cell, draw(T, B, D))[0].sum().backward()
    assert [layout.height for layout in reruns] == [numbers]
    assert f"a row, {numbers} for each of" in Rtrl().explain(cell)


class Scaled(Base):
    """Element by element, with one number for all units: each acts on several."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.scale = torch.nn.Parameter(torch.tensor(0.5))

    def step(self, p, state):
        (h,) = state
        h = torch.tanh(self.scale * h + p)
        return h, (h,)


def test_a_number_for_several_units_has_a_dense_influence(reruns):
    cell = build(Scaled)
    assert list(differences(Rtrl(), cell, 7, B, 1e-11)) == []
    assert [layout.elementwise for layout in reruns] == [False]


def test_nothing_is_kept_but_what_came_in():
    cell, xs = build(rnnkit.cells["mingru"]), draw(200, B, D)
    Rtrl()(cell, xs)  # the first time the step is recorded, which is not what is measured
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        Rtrl()(cell, xs)
    assert sum(t.numel() for t in saved) == xs.numel() + B * H + sum(p.numel() for p in cell.parameters())


PEAK = """
import sys, torch, rnnkit
torch.set_num_threads(1)
torch.manual_seed(0)
layer = rnnkit.RNN("mingru", 4, 64, unroller=sys.argv[1])
def peak():  # of this program alone
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
layer(torch.randn(200, 8, 4))[0].sum().backward()
xs = torch.randn(int(sys.argv[2]), 8, 4)
before = peak()
output = layer(xs)[0]
output.sum().backward()
print(max(0, peak() - before - 3 * output.nbytes))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_sequence():
    """But for input, output and its gradient, and the views that stack and unbind make of them."""
    grown = {}
    for name in ("loop", "rtrl"):
        command = [sys.executable, "-c", PEAK, name, "8000"]
        grown[name] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown["rtrl"] < 0.25 * grown["loop"], grown


@pytest.mark.slow
def test_element_by_element_it_takes_about_the_loop_s_time():
    xs, layers = torch.randn(1000, 8, 64), [rnnkit.RNN("mingru", 64, 64, unroller=name) for name in ("rtrl", "loop")]
    forward, loop = interleaved([lambda layer=layer: layer(xs)[0].sum().backward() for layer in layers], 5, warm_up=1)
    assert statistics.median(forward) < 4 * statistics.median(loop)  # 2 where nothing else runs; 10 step by step


class Mixing(Base):
    """A projection that breaks the contract: a step of it sees the step before."""

    def project(self, xs):
        return self.inward(xs + xs.roll(1, 0))

    def step(self, p, state):
        (h,) = state
        h = torch.tanh(h + p)
        return h, (h,)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Mixing, "project() mixes steps"),
        (Counter, "t holds whole numbers"),
        (rnnkit.cells["variational"], "project() draws random numbers"),
    ],
)
def test_the_loop_runs_what_cannot_be_run_again_step_by_step(reruns, kind, reason):
    cell, xs = build(kind), draw(T, B, D)
    assert Rtrl().explain(cell) == f"the loop runs: {reason}"
    ys, _ = Rtrl()(cell, xs)
    ys.sum().backward()
    assert reruns == []


class Viewed(rnnkit.Cell):
    """Views what lies in memory in another order where it is one of a batch."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight = torch.nn.Parameter(torch.randn(hidden_size, input_size))
        self.decay = torch.nn.Parameter(torch.randn(hidden_size))

    def step(self, x, state):
        z = state[0] * self.decay + x @ self.weight.T
        view = z.view(-1)
        h = torch.tanh(z + view.view_as(z))
        return h, (h,)


def test_a_step_that_bears_no_batch_of_derivatives_goes_back_by_the_loop(caplog):
    cell = Viewed(3, 4).double()
    for _ in range(2):
        assert [*differences(rnnkit.unrollers["rtrl"](), cell, 5, 3, 1e-10)] == []
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "unroller 'rtrl': the step of cell 'viewed' fails with a batch of derivatives (RuntimeError: view" in said[0]


def test_second_derivatives_are_the_loop_s():
    cell, xs, found = build(rnnkit.cells["mingru"]), draw(T, B, D), []
    for unroller in (Rtrl(), Loop()):
        total = unroller(cell, xs)[0].sin().sum()
        (first,) = torch.autograd.grad(total, [cell.linear.weight], create_graph=True)
        found += torch.autograd.grad(first.sin().sum(), [cell.linear.weight])
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("name", ["mingru", "lru", "gru"])
def test_online_gradients_are_those_of_each_step_s_loss(name):
    cell, xs, target = build(rnnkit.cells[name]), draw(T, B, D), draw(T, B, H)

    def loss_of_step(y, t):
        return (y - target[t]).square().sum()

    told = list(online_gradients(cell, xs, loss_of_step))
    ys, _ = Loop()(cell, xs)
    for t, (loss, gradients) in enumerate(told):
        expected = loss_of_step(ys[t], t)
        torch.testing.assert_close(loss, expected.detach())
        names, parameters = zip(*cell.named_parameters(), strict=True)
        found = torch.autograd.grad(expected, parameters, retain_graph=True, materialize_grads=True, allow_unused=True)
        for parameter, gradient in zip(names, found, strict=True):
            torch.testing.assert_close(gradients.get(parameter, torch.zeros_like(gradient)), gradient)


def test_online_gradients_follow_an_optimiser():
    cell = build(rnnkit.cells["mingru"])
    optimiser, losses = torch.optim.SGD(cell.parameters(), lr=0.05), []
    for loss, gradients in online_gradients(
        cell, torch.ones(400, 1, D, dtype=torch.float64), lambda y, t: (y - 1).square().sum()
    ):
        for name, parameter in cell.named_parameters():
            parameter.grad = gradients[name]
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < 1e-3 * losses[0]


def test_online_gradients_say_what_they_cannot_run():
    with pytest.raises(UsageError, match="online_gradients: cell 'counter' cannot be run forward alone: t holds whole"):
        next(online_gradients(build(Counter), draw(T, B, D), lambda y, t: y.sum()))
