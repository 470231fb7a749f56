"""Which of two ways takes less time: by the models where they are far apart, else by what was measured and kept."""

import json

import pytest
import torch

import rnnkit
from rnnkit_compiler import _rivals

X = torch.randn(5, 3, 4)


class Ways:
    """Two ways to run a call, and a clock that goes on by what each of them is said to take."""

    def __init__(self, monkeypatch):
        self.now, self.runs = 0.0, []
        self.takes = {"own": 2.0, "rival": 1.0}
        self.cell = rnnkit.cells["gru"](4, 6)
        monkeypatch.setattr(_rivals.time, "perf_counter", lambda: self.now)

    def run(self, name, xs):
        torch.rand(1)  # as a cell may
        self.runs.append((name, torch.is_grad_enabled()))
        self.now += self.takes[name]
        return rnnkit.unrollers["loop"]()(self.cell, xs)

    def is_faster(self, own=1.0, rival=1.0, xs=X, name="in pieces"):
        other = rnnkit.Rival(name, rival, lambda xs: self.run("rival", xs))
        return _rivals.is_faster(self.cell, xs, lambda xs: self.run("own", xs), own, other)


@pytest.fixture
def ways(monkeypatch, tmp_path):
    """Nothing was measured yet."""
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    tmp_path.chmod(0o700)
    monkeypatch.setattr(_rivals, "_known", {})
    return Ways(monkeypatch)


def test_models_that_are_far_apart_are_believed(ways):
    assert ways.is_faster(1.0, 9.0)
    assert not ways.is_faster(9.0, 1.0)
    assert not ways.runs
    assert not [*_rivals.MEASUREMENTS.all()]


def test_what_is_drawn_meanwhile_is_drawn_anew_for_the_caller(ways):
    before = torch.get_rng_state()
    ways.is_faster(1.0, 2.0)
    assert ways.runs
    assert torch.equal(torch.get_rng_state(), before)


def test_what_was_measured_corrects_the_models_and_is_kept(ways):
    assert not ways.is_faster(1.0, 2.0)
    assert {name for name, _ in ways.runs} == {"own", "rival"}
    count = len(ways.runs)
    assert not ways.is_faster(1.0, 2.0)
    _rivals._known.clear()
    ways.takes["own"] = 0.5
    assert not ways.is_faster(1.0, 2.0), "it is read in the next process"
    assert len(ways.runs) == count
    (measured,) = _rivals.MEASUREMENTS.all()
    assert measured.text == (
        "cell 'gru' of 6 units, 8, 4 steps and rows, float32, training; in pieces: "
        "kernels 2e+03 ms, the other way 1e+03 ms"
    )
    assert measured.text in rnnkit.unrollers["compiled"].facts().values()
    assert rnnkit.unrollers["compiled"].clear_cache() > 0
    assert ways.is_faster(1.0, 2.0)


@pytest.mark.parametrize(
    "other",
    [
        {"xs": torch.randn(9, 3, 4)},
        {"xs": torch.randn(5, 5, 4)},
        {"name": "in smaller pieces"},
    ],
    ids=["steps", "rows", "name"],
)
def test_other_sizes_are_measured_anew(other, ways):
    ways.is_faster()
    ways.is_faster(xs=torch.randn(7, 4, 4))
    count = len(ways.runs)
    ways.is_faster(**other)
    assert len(ways.runs) == 2 * count
    with torch.no_grad():
        ways.is_faster()
    assert len(ways.runs) == 3 * count
    assert [enabled for _, enabled in ways.runs] == [True] * 2 * count + [False] * count, "as it is asked for"


def test_nothing_is_left_behind_by_a_measurement(ways):
    state = torch.get_rng_state()
    ways.is_faster(xs=X.clone().requires_grad_())
    assert all(parameter.grad is None for parameter in ways.cell.parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_where_nothing_can_be_written_each_process_measures(ways, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_rivals.Path, "write_text", full)
    assert not ways.is_faster()
    count = len(ways.runs)
    assert not ways.is_faster(), "this process knows"
    assert len(ways.runs) == count
    assert not [*_rivals.MEASUREMENTS.all()]


def test_what_cannot_be_measured_is_left_to_the_models(ways, monkeypatch):
    def fails(name, xs):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(ways, "run", fails)
    assert ways.is_faster(1.0, 2.0)
    assert not ways.is_faster(2.0, 1.0)
    assert not [*_rivals.MEASUREMENTS.all()]


@pytest.mark.parametrize("text", ["", "{", '{"what": ""}', '{"what": "", "own": 0, "rival": 1}'])
def test_what_cannot_be_read_is_measured_again(text, ways):
    ways.is_faster()
    (path,) = _rivals.MEASUREMENTS.folder.glob("*.json")
    kept = json.loads(path.read_text())
    path.write_text(text)
    _rivals._known.clear()
    ways.is_faster()
    assert json.loads(path.read_text()) == kept


def test_hooks_of_a_call_see_nothing_of_a_measurement():
    weight, seen = torch.ones(3, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(seen.append, lambda nothing: nothing):
        _rivals._seconds(lambda xs: (xs * weight, ()), torch.ones(2, 2, 3), [weight])
    assert not seen
