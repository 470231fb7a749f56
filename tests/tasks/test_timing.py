"""Timing: spikes one of two intervals apart; longer trains of them are held out."""

import pytest
import torch
from torch.nn.functional import one_hot

import rnnkit
from rnnkit.errors import UsageError
from rnnkit_tasks._targets import LEFT_OUT

Timing = rnnkit.tasks["timing"]


def draw(size, **options):
    return Timing(**options).batch(size, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("interval", "train_intervals"), [(1, 1), (10, 3), (49, 7)])
def test_targets_are_what_lies_between_two_spikes(interval, train_intervals):
    batch = draw(100, interval=interval, train_intervals=train_intervals)
    assert batch.xs.shape == (train_intervals * (interval + 1) + 1, 100, 1)
    assert set(batch.xs.unique().tolist()) == {0, 1}
    for row, targets in zip(batch.xs[..., 0].t(), batch.targets.t(), strict=True):
        spikes = row.nonzero().flatten()
        assert spikes[0] == 0
        assert len(spikes) == train_intervals + 1
        assert torch.equal(spikes.diff() - interval, targets[spikes[1:]])
        assert (targets != LEFT_OUT).sum() == train_intervals
    assert set(batch.targets.unique().tolist()) == {LEFT_OUT, 0, 1}


def test_intervals_are_drawn_with_even_odds_and_do_not_depend_on_each_other():
    batch = draw(5000, interval=2)
    longer = torch.stack([targets[targets >= 0] for targets in batch.targets.t()])
    counts = torch.bincount((longer * torch.tensor([4, 2, 1])).sum(1), minlength=8) / 5000
    assert (counts - 1 / 8).abs().max() < 4 * (1 / 8 * 7 / 8 / 5000) ** 0.5


def test_longer_trains_validate():
    (batch,) = Timing(interval=5, train_intervals=2, test_intervals=4).validation()
    assert batch.xs.shape == (4 * 6 + 1, 100, 1)
    assert (batch.xs.sum(0) == 5).all()


def test_who_always_says_the_same_is_at_chance():
    task = Timing()
    (batch,) = task.validation()
    (chance,) = task.baselines().values()
    for said in (0, 1):
        outputs = one_hot(torch.full_like(batch.targets, said), 2).float()
        assert abs(float(task.metric(outputs, batch.targets)) - chance) < 4 * 0.5 / 800**0.5
    right = one_hot(batch.targets.clamp(min=0), 2).float()
    assert float(task.metric(right, batch.targets)) == 1
    assert float(task.loss(50 * right, batch.targets)) < 1e-6


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"interval": 0}, "interval is 0; it must be a whole number >= 1"),
        ({"interval": 10_001}, "interval is 10001; it must be 10000 or less"),
        ({"train_intervals": 1001}, "train_intervals is 1001; it must be 1000 or less"),
        ({"test_intervals": 1001}, "test_intervals is 1001; it must be 1000 or less"),
    ],
)
def test_options_that_make_no_sense(options, sentence):
    with pytest.raises(UsageError, match=f"task 'timing': {sentence}"):
        Timing(**options)
