"""Timing: two spikes, one of two intervals apart; other waits before the first are held out."""

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError

Timing = rnnkit.tasks["timing"]


def draw(size, **options):
    return Timing(**options).batch(size, torch.Generator().manual_seed(0))


def spikes(batch):
    """Return the steps of each row's spikes."""
    return [row.nonzero().flatten().tolist() for row in batch.xs[..., 0].t()]


@pytest.mark.parametrize(("interval", "wait"), [(1, 1), (10, 3), (49, 10)])
def test_two_spikes_and_the_answer_at_the_second(interval, wait):
    batch = draw(300, interval=interval, wait=wait)
    assert batch.xs.shape == (wait + interval + 1, 300, 1)
    assert batch.xs.sum() == 600
    for (first, second), longer, length in zip(spikes(batch), batch.targets, batch.lengths, strict=True):
        assert 0 <= first < wait
        assert second - first == interval + longer
        assert length == second + 1
    assert batch.lengths.max() == len(batch.xs)


def test_intervals_and_waits_are_drawn_with_even_odds():
    batch = draw(20_000, wait=5)
    assert abs(float(batch.targets.double().mean()) - 0.5) < 4 * 0.5 / 20_000**0.5
    first = batch.xs[:5, :, 0].mean(1)
    assert (first - 0.2).abs().max() < 4 * (0.2 * 0.8 / 20_000) ** 0.5


def test_every_longer_wait_validates_with_both_intervals():
    (batch,) = Timing(interval=7, wait=4).validation()
    expected = [[first, first + 7 + longer] for longer in (0, 1) for first in (4, 5, 6, 7)]
    assert spikes(batch) == expected
    assert batch.targets.tolist() == [0] * 4 + [1] * 4
    assert batch.lengths.tolist() == [second + 1 for _, second in expected]


def test_who_is_off_by_a_step_is_at_chance():
    task = Timing()
    (batch,) = task.validation()
    (chance,) = task.baselines().values()
    for said in (0, 1):
        outputs = torch.nn.functional.one_hot(torch.full_like(batch.targets, said), 2).float()
        assert float(task.metric(outputs, batch.targets)) == chance
    right = torch.nn.functional.one_hot(batch.targets, 2).float()
    assert float(task.metric(right, batch.targets)) == 1
    assert float(task.loss(50 * right, batch.targets)) < 1e-6


@pytest.mark.parametrize("option", ["interval", "wait"])
def test_options_that_make_no_sense(option):
    with pytest.raises(UsageError, match=f"task 'timing': {option} is 10001; it must be 10000 or less"):
        Timing(**{option: 10_001})
    with pytest.raises(UsageError, match=f"task 'timing': {option} is 0; it must be a whole number >= 1"):
        Timing(**{option: 0})
