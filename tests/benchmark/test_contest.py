"""The contest: what is timed and counted."""

import subprocess
import sys
import time

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.benchmark.contest import contest, means, one_pass
from rnnkit.benchmark.contestants import flops, rival
from rnnkit.benchmark.machine import peak_memory, product_peak
from rnnkit.benchmark.sizes import DEFAULT, Size, parse_sizes
from rnnkit.errors import UsageError

TINY = Size(2, 5, 3, 4)


def test_sizes_are_read_and_written():
    assert parse_sizes("32x100x128x64, 1x2x3x4") == (Size(32, 100, 128, 64), Size(1, 2, 3, 4))
    assert parse_sizes(",".join(map(str, DEFAULT))) == DEFAULT


@pytest.mark.parametrize("text", ["", "1x2x3", "1x2x3x4x5", "1x2x3x0", "axbxcxd", "1x2x3x4,", "1x2x-3x4", "²x2x3x4"])
def test_what_is_no_size_is_said_in_a_sentence(text):
    with pytest.raises(UsageError, match="is not of the form BxTxIxH, such as 32x100x128x128"):
        parse_sizes(text)


def test_operations_are_those_of_the_products():
    lstm = nn.LSTM(3, 4)
    assert flops(lstm, TINY, training=False) == 2 * 2 * 5 * 16 * (3 + 4)
    assert flops(lstm, TINY, training=True) == 3 * flops(lstm, TINY, training=False)
    assert flops(rnnkit.RNN("lstm", 3, 4), TINY, training=True) == flops(lstm, TINY, training=True)


@pytest.mark.parametrize("cell", list(rnnkit.cells))
def test_every_cell_against_torch_and_the_loop(cell):
    (outcome,) = contest(cell, "checkpoint", [TINY], ["torch", "loop"], pairs=3)
    own = {"lstm": "nn.LSTM", "gru": "nn.GRU", "rnn": "nn.RNN"}.get(cell, "nn.LSTM")
    assert list(outcome.rivals) == [own, "loop"]
    assert (outcome.cell, outcome.unroller, outcome.size, outcome.pairs) == (cell, "checkpoint", TINY, 3)
    assert 0 < outcome.seconds < 10
    assert 0 < outcome.share < 1
    assert means([outcome]) == pytest.approx({label: found.median for label, found in outcome.rivals.items()})


def test_a_slow_one_is_slower():
    class Slow(rnnkit.unrollers["loop"]):
        def __call__(self, *given, **masks):
            time.sleep(0.05)  # a pass takes a millisecond
            return super().__call__(*given, **masks)

    (outcome,) = contest("gru", Slow(), [TINY], ["loop"], training=False, pairs=11)
    assert outcome.rivals["loop"].high < 0.6


def test_a_pass_is_training_or_inference():
    layer, xs = rnnkit.RNN("gru", 3, 4), torch.randn(5, 2, 3)
    one_pass(layer, xs, training=True)()
    gradient = layer.weight_hh_l0.grad.clone()
    one_pass(layer, xs, training=True)()
    assert torch.equal(layer.weight_hh_l0.grad, gradient)  # not gathered
    layer.zero_grad()
    inputs = xs.clone().requires_grad_()
    layer(inputs)[0].sum().backward()
    torch.testing.assert_close(layer.weight_hh_l0.grad, gradient)
    layer.zero_grad()
    one_pass(layer, xs, training=False)()
    assert layer.weight_hh_l0.grad is None
    assert not layer.training


def test_rivals_that_are_not_there_are_said_in_a_sentence():
    with pytest.raises(UsageError, match=r"nothing called 'torhc' to measure against \(did you mean 'torch'\?\)"):
        rival("torhc", "lstm")
    with pytest.raises(UsageError, match="torchrecurrent is known here for lstm, gru, peephole; cell 'norm' is not"):
        rival("torchrecurrent", "norm")
    with pytest.raises(UsageError, match="a rival is named twice"):
        next(contest("lstm", "loop", [TINY], ["torch", "torch"]))


def test_the_peak_of_products():
    assert 1e9 < product_peak(torch.float32, repeats=2) < 1e14


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux alone")
def test_memory_is_that_of_the_call():
    taken = peak_memory(lambda: torch.ones(2**23))
    assert taken is not None
    assert 0.9 * 2**25 < taken < 1.5 * 2**25


KEEP = """
import resource, torch
from rnnkit.benchmark.machine import keep_memory
torch.set_num_threads(1)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(2**23).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(sum(faults() for _ in range(5)))
keep_memory()
for _ in range(30):  # until the heap is as large as it gets
    faults()
print(sum(faults() for _ in range(5)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a switch of glibc")
def test_kept_memory_costs_no_page_faults():
    done = subprocess.run([sys.executable, "-c", KEEP], check=True, capture_output=True, text=True)
    default, keep = map(int, done.stdout.split())
    assert keep < 0.1 * default


def test_a_rival_has_the_options_that_it_shares():
    for cell, options in {
        "lstm(proj_size=2, bias=false)": {"proj_size": 2, "bias": False},
        "peephole(proj_size=2)": {"proj_size": 2},
        "rnn(nonlinearity=relu)": {"nonlinearity": "relu"},
        "gru(reset_after=false)": {},
    }.items():
        _, build = rival("torch", cell)
        module = build(TINY)
        assert {name: getattr(module, name) for name in options} == options


def test_a_rival_that_is_not_installed_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchrecurrent", None)
    with pytest.raises(UsageError, match="torchrecurrent is not installed; pip install torchrecurrent"):
        rival("torchrecurrent", "lstm")


FREED = """
import torch
from rnnkit.benchmark.machine import keep_memory, peak_memory
torch.set_num_threads(1)
keep_memory()
torch.ones(2**24)
print(peak_memory(lambda: torch.ones(2**16)))
torch.ones(2**24)
print(peak_memory(lambda: torch.ones(2**23)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux alone")
def test_memory_that_was_freed_before_counts_neither_way():
    done = subprocess.run([sys.executable, "-c", FREED], check=True, capture_output=True, text=True)
    small, large = map(int, done.stdout.split())
    assert small < 2**24
    assert 0.9 * 2**25 < large < 1.5 * 2**25
