"""The measurement: what is timed and counted."""

import sys
import time

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.benchmark import flops
from rnnkit.benchmark.candidates import ours, rival
from rnnkit.benchmark.machine import product_peak
from rnnkit.benchmark.measure import compete, means
from rnnkit.benchmark.sizes import DEFAULT, Size, parse_sizes
from rnnkit.benchmark.workload import Workload
from rnnkit.errors import UsageError

from ..core_cells import CORE_CELLS
from ..slow_cases import slow_but

TINY = Workload(Size(2, 5, 3, 4))
AHEAD = Workload(TINY.size, training=False)
RAGGED = Workload(Size(5, 12, 3, 4), ragged=True)


class TwoProducts(rnnkit.Cell):
    """A cell without a projection whose step multiplies by a square matrix, and by another one."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.randn(input_size, hidden_size))
        self.weight_hh = nn.Parameter(torch.randn(hidden_size, hidden_size))

    def step(self, p, state):
        h = torch.tanh(p @ self.weight_ih + torch.tanh(state[0] @ self.weight_hh) @ self.weight_hh)
        return h, (h,)


def test_sizes_are_read_and_written():
    assert parse_sizes("32x100x128x64, 1x2x3x4") == (Size(32, 100, 128, 64), Size(1, 2, 3, 4))
    assert parse_sizes(",".join(map(str, DEFAULT))) == DEFAULT


@pytest.mark.parametrize("text", ["", "1x2x3", "1x2x3x4x5", "1x2x3x0", "axbxcxd", "1x2x3x4,", "1x2x-3x4", "²x2x3x4"])
def test_what_is_no_size_is_said_in_a_sentence(text):
    with pytest.raises(UsageError, match="is not of the form BxTxIxH, such as 32x100x128x128"):
        parse_sizes(text)


@pytest.mark.parametrize("workload", [TINY, AHEAD, RAGGED], ids=["training", "forward", "ragged"])
def test_operations_are_those_of_the_products(workload):
    rows = sum(workload.lengths())
    assert rows == workload.size.batch * workload.size.steps or workload.ragged
    there_and_back = 3 if workload.training else 1
    lstm = there_and_back * rows * 2 * 16 * (3 + 4)
    assert flops.of_weights(nn.LSTM(3, 4), workload) == lstm
    assert flops.of_cell("lstm", workload) == flops.of_cell("peephole", workload) == lstm
    assert flops.of_weights(nn.GRU(3, 4), workload) == flops.of_cell("gru", workload) == lstm * 3 // 4
    assert flops.of_cell(TwoProducts, workload) == there_and_back * rows * 2 * 4 * (3 + 4 + 4)


@pytest.mark.parametrize("cell", slow_but(["lstm", "gru", "layernorm"], CORE_CELLS))
def test_every_cell_against_torch_and_the_loop(cell):
    (outcome,) = compete(cell, "checkpoint", [TINY], ["torch", "loop"], pairs=3)
    own = {"lstm": "nn.LSTM", "gru": "nn.GRU", "rnn": "nn.RNN"}.get(cell, "nn.LSTM")
    assert list(outcome.rivals) == [own, "loop"]
    assert (outcome.cell, outcome.unroller, outcome.size, outcome.pairs) == (cell, "checkpoint", TINY.size, 3)
    assert 0 < outcome.seconds < 10
    assert 0 < outcome.share < 1
    assert means([outcome]) == {label: pytest.approx(found) for label, found in outcome.rivals.items()}


def test_time_is_given_for_each_operation_too():
    (outcome,) = compete(TwoProducts, "loop", [TINY], ["torch", "loop"], pairs=3, memory="none")
    assert outcome.flops / outcome.rival_flops["nn.LSTM"] == pytest.approx(4 * 11 / (16 * 7))
    assert outcome.scaled("nn.LSTM") == pytest.approx([44 / 112 * bound for bound in outcome.rivals["nn.LSTM"]])
    assert outcome.scaled("loop") == outcome.rivals["loop"]
    assert outcome.bytes is None
    assert outcome.rival_bytes == {"nn.LSTM": None, "loop": None}
    assert outcome.cell == "twoproducts"


def test_packed_rows_in_float64_on_both_sides():
    workload = Workload(Size(5, 12, 3, 4), dtype=torch.float64, ragged=True)
    given = []

    class Looking(rnnkit.unrollers["loop"]):
        def __call__(self, cell, xs, state=None, *, lengths=None, reset=None):
            given.append((xs.dtype, lengths.tolist()))
            return super().__call__(cell, xs, state, lengths=lengths, reset=reset)

    (outcome,) = compete("gru", Looking(), [workload], ["torch"], pairs=2, memory="none")
    assert (outcome.dtype, outcome.ragged) == ("float64", True)
    lengths = sorted(workload.lengths(), reverse=True)
    assert {(dtype, tuple(steps)) for dtype, steps in given} == {(torch.float64, tuple(lengths))}


def test_a_slow_one_is_slower():
    class Slow(rnnkit.unrollers["loop"]):
        def __call__(self, *given, **masks):
            time.sleep(0.05)  # a pass takes a millisecond
            return super().__call__(*given, **masks)

    (outcome,) = compete("gru", Slow(), [AHEAD], ["loop"], pairs=11)
    assert outcome.rivals["loop"].high < 0.6


def test_rivals_that_are_not_there_are_said_in_a_sentence():
    with pytest.raises(UsageError, match=r"nothing called 'torhc' to measure against \(did you mean 'torch'\?\)"):
        rival("torhc", "lstm")
    with pytest.raises(UsageError, match="torchrecurrent is known here for lstm, gru, peephole; cell 'norm' is not"):
        rival("torchrecurrent", "norm")
    with pytest.raises(UsageError, match="a rival is named twice"):
        next(compete("lstm", "loop", [TINY], ["torch", "torch"]))
    with pytest.raises(UsageError, match="torchrecurrent takes no PackedSequence"):
        next(compete("lstm", "loop", [RAGGED], ["torchrecurrent"]))


def test_a_rival_has_the_options_that_it_shares():
    for cell, options in {
        "lstm(proj_size=2, bias=false)": {"proj_size": 2, "bias": False},
        "peephole(proj_size=2)": {"proj_size": 2},
        "rnn(nonlinearity=relu)": {"nonlinearity": "relu"},
        "gru(reset_after=false)": {},
    }.items():
        _, build = rival("torch", cell)
        module = build(TINY.size)
        assert {name: getattr(module, name) for name in options} == options


def test_a_rival_that_is_not_installed_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchrecurrent", None)
    with pytest.raises(UsageError, match="torchrecurrent is not installed; pip install torchrecurrent"):
        rival("torchrecurrent", "lstm")


def test_ours_goes_through_the_unroller():
    assert str(ours("lstm", "checkpoint")(TINY.size).unroller) == "checkpoint"


def test_the_peak_of_products():
    assert 1e9 < product_peak(torch.float32, repeats=2) < 1e14
