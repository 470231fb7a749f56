"""The adding problem: two marks, one in each half, and the sum of what they mark."""

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError

Adding = rnnkit.tasks["adding"]


def draw(size, **options):
    return Adding(**options).batch(size, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("seq_len", [2, 3, 9, 100])
def test_one_mark_in_each_half_and_the_sum_of_what_they_mark(seq_len):
    batch = draw(500, seq_len=seq_len)
    numbers, marks = batch.xs.unbind(-1)
    assert batch.xs.shape == (seq_len, 500, 2)
    assert batch.targets.shape == (500, 1)
    assert set(marks.unique().tolist()) <= {0.0, 1.0}
    assert (marks[: seq_len // 2].sum(0) == 1).all()
    assert (marks[seq_len // 2 :].sum(0) == 1).all()
    assert ((numbers >= 0) & (numbers < 1)).all()
    torch.testing.assert_close((numbers * marks).sum(0), batch.targets[:, 0])


def test_every_step_of_a_half_is_marked_as_often():
    marks = draw(20_000, seq_len=10).xs[..., 1].mean(1)
    assert (marks - 0.2).abs().max() < 4 * (0.2 * 0.8 / 20_000) ** 0.5


def test_predicting_one_gives_the_baseline():
    task, batch = Adding(), draw(20_000)
    (baseline,) = task.baselines().values()
    error = float(task.metric(torch.ones(20_000, 1), batch.targets))
    assert baseline == pytest.approx(1 / 6)
    # (u + v - 1)² has mean 1/6 and variance 1/15 - 1/36 = 7/180
    assert abs(error - baseline) < 4 * (7 / 180 / 20_000) ** 0.5


def test_loss_and_metric_are_the_mean_squared_error():
    outputs, targets = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [4.0]])
    assert float(Adding().loss(outputs, targets)) == float(Adding().metric(outputs, targets)) == 2.5


def test_one_step_is_too_short():
    with pytest.raises(UsageError, match=r"seq_len is 1; it must be a whole number >= 2"):
        Adding(seq_len=1)
