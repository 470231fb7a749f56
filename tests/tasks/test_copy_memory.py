"""The copy problem: ten symbols, blanks, a delimiter, and the ten symbols again."""

import math

import pytest
import torch
from torch.nn import functional as F

import rnnkit

Copy = rnnkit.tasks["copy"]


@pytest.mark.parametrize("seq_len", [1, 2, 100])
def test_the_layout(seq_len):
    task = Copy(seq_len=seq_len)
    xs, targets, lengths, continues = task.batch(200, torch.Generator().manual_seed(0))
    assert (lengths, continues) == (None, False)
    assert xs.shape == targets.shape == (seq_len + 20, 200)
    symbols, gap, delimiter, answer = xs[:10], xs[10 : seq_len + 9], xs[seq_len + 9], xs[seq_len + 10 :]
    assert len(gap) == seq_len - 1
    assert len(answer) == 10
    assert set(symbols.unique().tolist()) == set(range(1, 9))
    assert not gap.any()
    assert (delimiter == 9).all()
    assert not answer.any()
    assert not targets[:-10].any()
    assert torch.equal(targets[-10:], symbols)


@pytest.mark.parametrize(("seq_len", "chance"), [(100, 0.1733), (200, 0.0945), (500, 0.0400)])
def test_chance_is_what_knowing_when_but_not_what_gives(seq_len, chance):
    task = Copy(seq_len=seq_len)
    (baseline,) = task.baselines().values()
    assert baseline == pytest.approx(chance, abs=5e-5)
    targets = task.batch(50, torch.Generator().manual_seed(0)).targets
    outputs = torch.full((*targets.shape, 9), -math.inf)
    outputs[:-10, :, 0] = 0
    outputs[-10:, :, 1:] = 0
    assert float(task.metric(outputs, targets)) == pytest.approx(baseline, rel=1e-5)


def test_a_perfect_predictor_has_no_loss():
    task = Copy(seq_len=30)
    targets = task.batch(50, torch.Generator().manual_seed(0)).targets
    outputs = 50.0 * F.one_hot(targets, task.output_size)
    assert float(task.metric(outputs, targets)) < 1e-6
    assert float(task.loss(outputs, targets)) < 1e-6
