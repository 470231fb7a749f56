"""The plan in chunks: a stand-in for CUDA's graphs notes the operations of a chunk, and does them again."""

import logging
import math
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import rnnkit
from rnnkit_compiler import _devices, _programs, compiled
from rnnkit_compiler.backends.base import graphs
from rnnkit_compiler.backends.torch import chunks

from ...test_compiled_law import Call, Compiled, build, differences

PLAN = Compiled(backend="torch")


class Noted(TorchDispatchMode):
    """Notes what is done on which tensors, as a graph does it: nothing of Python's that decides about it."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        results = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, results))
        return results


class Recorder:
    """Records as a graph does: what is recorded has not been computed, and is computed into the same memory each time.

    Args:
        wrong: what is done to the results of a replay.
    """

    def __init__(self):
        self.counted, self.wrong = Counter(), lambda results: None

    def record(self, body):
        self.counted["recorded"] += 1
        with Noted() as noted:
            body()
        made = [
            (function, args, kwargs, results if isinstance(results, (tuple, list)) else (results,))
            for function, args, kwargs, results in noted.operations
            if not (function.is_view or isinstance(results, (bool, int, float)) or results is None)
        ]
        with torch.no_grad():
            for function, *_, results in made:
                for result in results if not function._schema.is_mutable else ():
                    result.fill_(math.nan if result.is_floating_point() or result.is_complex() else 1)

        @torch.no_grad()
        def replay():
            self.counted["replayed"] += 1
            for function, args, kwargs, results in made:
                again = function(*args, **kwargs)
                if not function._schema.is_mutable:
                    for result, new in zip(
                        results, again if isinstance(again, (tuple, list)) else (again,), strict=True
                    ):
                        result.copy_(new)
            self.wrong(made[-1][-1])

        return replay


@pytest.fixture
def recorder(monkeypatch):
    """Record chunks of four steps, on the CPU in place of a GPU; each test has programs of its own."""
    recorder = Recorder()
    monkeypatch.setattr(_programs, "_programs", type(_programs._programs)(_programs.CAPACITY))
    monkeypatch.setattr(graphs.Recorded.__init__, "__defaults__", (4,))
    monkeypatch.setattr(chunks, "record", recorder.record)
    monkeypatch.setattr(chunks, "may_be_recorded", lambda steps, device: steps > 0)
    monkeypatch.setattr(_devices, "is_host", lambda device: False)
    monkeypatch.setattr(_devices, "_said", set())
    return recorder


CALLS = (
    Call(4, 3),
    Call(9, 3, state=True),
    Call(11, 3, lengths=True, reset=True, state=True, order=2),
    Call(13, 18, reset=True, silent=(0,)),
    Call(8, 3, frozen=("input", "weights"), state=True),
    Call(10, 3, lengths=True, gradients=False),
)
FEW = ("lstm", "lmu")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FEW else pytest.mark.slow) for name in rnnkit.cells]
)
def test_the_law_holds(name, recorder):
    cell = build(name, {"inner": "gru"} if issubclass(rnnkit.cells[name], rnnkit.Wrapper) else {}, 4, 20, torch.float64)
    if not PLAN.applies(cell):
        pytest.skip("no plan runs it")
    cell = cell if [*cell.parameters()] else cell.double()
    assert [line for call in CALLS for line in differences(cell, call, PLAN)] == []
    assert recorder.counted["replayed"] > recorder.counted["recorded"] > 0


def trained(layer, steps, **given):
    xs = torch.randn(steps, 2, 3, dtype=torch.float64, requires_grad=True)
    layer(xs, **given)[0].sin().sum().backward()


def test_no_length_is_recorded(recorder):
    layer = rnnkit.RNN("rnn", 3, 5, unroller=PLAN, dtype=torch.float64)
    trained(layer, 8)
    assert recorder.counted["recorded"] == 2, "forward and back"
    for steps in (8, 13, 20):
        trained(layer, steps)
    assert recorder.counted["recorded"] == 2
    before = recorder.counted["replayed"]
    trained(layer, 3)
    assert recorder.counted["replayed"] == before, "there is no whole chunk"
    trained(layer, 8, lengths=[8, 3])
    assert recorder.counted["recorded"] == 4


@pytest.fixture
def precision():
    """Products are as precise as before once the test is done."""
    before = torch.backends.cuda.matmul.fp32_precision
    yield
    torch.backends.cuda.matmul.fp32_precision = before


def test_a_graph_keeps_the_precision_it_was_recorded_in(recorder, precision):
    layer = rnnkit.RNN("rnn", 3, 5, unroller=PLAN, dtype=torch.float64)
    trained(layer, 8)
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    trained(layer, 8)
    assert recorder.counted["recorded"] == 4, "forward and back, for each precision"


def test_recording_leaves_the_random_state_alone(recorder):
    layer = rnnkit.RNN("rnn", 3, 5, unroller=PLAN, dtype=torch.float64)
    xs = torch.randn(8, 2, 3, dtype=torch.float64)
    before = torch.get_rng_state()
    layer(xs)[0].sum().backward()
    assert recorder.counted["recorded"] == 2
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_are_those_of_the_call(recorder):
    layer = rnnkit.RNN("lstm", 3, 5, unroller=PLAN, dtype=torch.float64)
    xs = torch.randn(8, 2, 3, dtype=torch.float64)
    for _ in range(2):
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.mul_(0.5)
        layer.unroller = PLAN
        found = layer(xs)[0]
        layer.unroller = "loop"
        torch.testing.assert_close(found, layer(xs)[0], rtol=1e-10, atol=1e-10)


def test_two_calls_before_their_backward(recorder):
    """The second one's numbers are in the rooms when the first one is taken back."""
    layer, found = rnnkit.RNN("gru", 3, 5, dtype=torch.float64), []
    torch.manual_seed(0)
    xs = [torch.randn(9, 2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    for unroller in (PLAN, "loop"):
        layer.unroller = unroller
        results = [layer(x)[0] for x in xs]
        pairs = zip(results, xs, strict=True)
        found.append([torch.autograd.grad(ys.sin().sum(), [x, *layer.parameters()]) for ys, x in pairs])
    torch.testing.assert_close(*found)


def test_inference_mode_and_then_training(recorder):
    layer = rnnkit.RNN("rnn", 3, 5, unroller=PLAN, dtype=torch.float64)
    with torch.inference_mode():
        inferred = layer(torch.ones(8, 2, 3, dtype=torch.float64))[0]
    xs = torch.ones(8, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(inferred, layer(xs)[0].detach())
    trained(layer, 8)
    with torch.inference_mode():
        layer(torch.ones(8, 2, 3, dtype=torch.float64))


def refused(*_):
    raise RuntimeError("operation not permitted when stream is capturing")


def double(results):
    for result in results:
        result.mul_(2)


@pytest.mark.parametrize(
    ("planted", "reason"),
    [
        (lambda _, patch: patch.setattr(chunks, "record", refused), "RuntimeError: operation not permitted"),
        (lambda recorder, _: setattr(recorder, "wrong", double), "its numbers are not those of the operations"),
    ],
    ids=["cannot be recorded", "another result"],
)
def test_what_cannot_be_recorded_runs_as_before(planted, reason, recorder, monkeypatch, caplog):
    planted(recorder, monkeypatch)
    layer = rnnkit.RNN("rnn", 3, 5, unroller=PLAN, dtype=torch.float64)
    xs = torch.randn(9, 2, 3, dtype=torch.float64)
    with caplog.at_level(logging.WARNING, "rnnkit"):
        found = [layer(xs)[0] for _ in range(2)]
    layer.unroller = "loop"
    for ys in found:
        torch.testing.assert_close(ys, layer(xs)[0], rtol=1e-10, atol=1e-10)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("the plan cannot be recorded in CUDA graphs: ")
    assert reason in said
    assert said.endswith("; its operations are launched one by one")
    backend = compiled.program_for(layer.cells[0], *compiled.example(layer.cells[0]), PLAN._wanted).backend
    assert backend._chunks.explain().startswith("not in CUDA graphs: ")


def test_it_is_worth_it_where_graphs_run(recorder):
    cell = build("peephole", {}, 4, 20, torch.float64)
    backend = compiled.program_for(cell, *compiled.example(cell), PLAN._wanted).backend
    assert backend._chunks.explain() == "in CUDA graphs: chunks of 4 steps; backward runs each again"
    assert backend.is_worth_it(4, 1)
    assert not backend.is_worth_it(3, 1)
