"""Steps that are recorded in chunks: a stand-in for CUDA's graphs notes what a chunk launches, and replays it."""

from collections import Counter

import pytest
import torch

import rnnkit
from rnnkit_compiler import _programs
from rnnkit_compiler.backends.base import graphs
from rnnkit_compiler.backends.triton import backend, chunks, kernels, launching

from ....test_compiled_law import Call, Compiled, build, differences

pytestmark = pytest.mark.usefixtures("trusted", "poisoned")

STEPS = Compiled(backend="triton", kernel="steps")


class Recorder:
    """Notes which functions are launched on what, as a graph does it, and launches the same again."""

    def __init__(self, monkeypatch):
        self.counted = Counter()
        self._noted = None
        start = launching.Run._start

        def noted(run, *given, **named):
            if self._noted is None:
                self.counted["launched"] += 1
                return start(run, *given, **named)
            self._noted.append((run, given, named))
            return None

        self._start = start
        monkeypatch.setattr(launching.Run, "_start", noted)

    def record(self, body):
        self.counted["recorded"] += 1
        self._noted = noted = []
        try:
            body()
        finally:
            self._noted = None

        def replay():
            self.counted["replayed"] += 1
            for run, given, named in noted:
                self._start(run, *given, **named)

        return replay


@pytest.fixture
def recorder(monkeypatch):
    """Record chunks of four steps; each test has programs of its own."""
    recorder = Recorder(monkeypatch)
    monkeypatch.setattr(_programs, "_programs", type(_programs._programs)(_programs.CAPACITY))
    monkeypatch.setattr(backend, "CHUNK", 4)
    monkeypatch.setattr(chunks, "record", recorder.record)
    monkeypatch.setattr(kernels, "may_be_recorded", lambda steps, device: steps > 0)
    return recorder


CALLS = (
    Call(4, 3),
    Call(9, 3, state=True),
    Call(11, 3, lengths=True, reset=True, state=True),
    Call(13, 18, reset=True),
    Call(10, 3, lengths=True, gradients=False),
)


@pytest.mark.parametrize(
    "name",
    [
        "rnn",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("lstm", "layernorm", "peephole", "mlstm", "lmu")),
    ],
)
def test_the_law_holds(name, recorder):
    cell = build(name, {}, 4, 20, torch.float64)
    assert [line for call in CALLS for line in differences(cell, call, STEPS)] == []
    assert recorder.counted["recorded"] > 0
    assert recorder.counted["replayed"] > recorder.counted["recorded"]


def test_no_length_is_recorded(recorder):
    layer = rnnkit.RNN("rnn", 3, 5, unroller=STEPS, dtype=torch.float64)

    def trained(steps):
        xs = torch.randn(steps, 2, 3, dtype=torch.float64, requires_grad=True)
        layer(xs)[0].sin().sum().backward()

    trained(8)
    before = recorder.counted.copy()
    for steps in (8, 12, 20):
        trained(steps)
    assert recorder.counted["recorded"] == before["recorded"] == 2
    assert recorder.counted["launched"] == before["launched"], "whole chunks are replayed alone"
    trained(9)
    assert recorder.counted["launched"] > before["launched"], "what is left is launched"
    trained(3)
    assert recorder.counted["recorded"] == 2, "a call without a whole chunk is launched"


@pytest.mark.slow
def test_weights_are_those_of_the_call(recorder):
    layer = rnnkit.RNN("lstm", 3, 5, unroller=STEPS, dtype=torch.float64)
    xs = torch.randn(8, 2, 3, dtype=torch.float64)
    layer(xs)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.5)
    found = layer(xs)[0]
    layer.unroller = "loop"
    torch.testing.assert_close(found, layer(xs)[0], rtol=1e-10, atol=1e-10)


def test_few_graphs_are_kept(recorder, monkeypatch):
    monkeypatch.setattr(graphs, "MOST", 2)
    layer = rnnkit.RNN("rnn", 3, 5, unroller=STEPS)
    for batch in (1, 2, 3, 1):
        layer(torch.randn(4, batch, 3))
    assert recorder.counted["recorded"] == 4
    layer(torch.randn(4, 1, 3))
    assert recorder.counted["recorded"] == 4
