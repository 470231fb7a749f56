"""Evaluation on the batches asked for, weighted by their targets."""

import math

import pytest
import torch

import rnnkit
from rnnkit.errors import DataError
from rnnkit.training.evaluation import to_device


@pytest.fixture(scope="module")
def task():
    return rnnkit.tasks["chars"](seq_len=32)


def by_hand(model, symbols, rows):
    """Return the mean loss over `symbols`, read in `rows` streams, in one pass each."""
    length = (len(symbols) - 1) // rows
    xs, targets = symbols[: rows * length].view(rows, length), symbols[1 : rows * length + 1].view(rows, length)
    with torch.no_grad():
        outputs, _ = model(xs.t())
    return float(torch.nn.functional.cross_entropy(outputs.flatten(0, 1), targets.t().flatten()))


@pytest.mark.parametrize(("split", "part"), [("validation", "held_out"), ("test", "test_part")])
def test_the_figures_are_those_of_one_long_pass(task, split, part):
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", 8, embedding_size=4)
    loss, metric = rnnkit.evaluate(model, task, getattr(task, split)())
    assert loss == pytest.approx(by_hand(model, getattr(task, part), 32), rel=1e-5)
    assert metric == pytest.approx(loss / math.log(2), rel=1e-6)
    assert (rnnkit.evaluate(model, task) == (loss, metric)) == (split == "validation")


def test_nothing_to_evaluate_on(task):
    model = rnnkit.Model(task, "gru", 4)
    with pytest.raises(DataError, match="task 'chars' gives no batch to evaluate on"):
        rnnkit.evaluate(model, task, [])


def test_lengths_stay_where_packing_reads_them():
    batch = rnnkit.Batch(torch.zeros(3, 2, 1), torch.zeros(3, 2, 1), torch.tensor([3, 1]))
    moved = to_device(batch, torch.device("meta"))
    assert (moved.xs.device.type, moved.targets.device.type, moved.lengths.device.type) == ("meta", "meta", "cpu")
    assert to_device(batch._replace(lengths=None), torch.device("meta")).lengths is None
