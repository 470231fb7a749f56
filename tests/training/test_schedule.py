"""The learning rate's schedules: against closed forms, torch's own schedulers, and by hand."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, ReduceLROnPlateau, SequentialLR

from rnnkit.errors import UsageError
from rnnkit.training.schedule import SCHEDULES, Schedule


def factors(schedule, steps=None):
    return [schedule.factor(step) for step in range(1, (steps or schedule.steps) + 1)]


def by_torch(steps, make):
    """Return the rates of an optimizer of rate 1 under a scheduler of torch's."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = make(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 1, 2, 9])
def test_warmup_is_a_straight_line_that_ends_behind_it(name, warmup):
    schedule = Schedule(name, steps=10, warmup=warmup)
    assert factors(schedule, warmup + 1) == [k / (warmup + 1) for k in range(1, warmup + 2)]


def test_constant_is_1():
    assert factors(Schedule("constant", steps=5)) == [1.0] * 5


@pytest.mark.parametrize("steps", [1, 2, 10, 101])
def test_cosine_is_that_of_torch(steps):
    expected = by_torch(steps, lambda optimizer: CosineAnnealingLR(optimizer, T_max=steps))
    assert factors(Schedule("cosine", steps)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("warmup", [1, 4, 18])
def test_warmup_and_cosine_are_those_of_torch(warmup):
    def make(optimizer):
        first = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
        second = CosineAnnealingLR(optimizer, T_max=20 - warmup)
        return SequentialLR(optimizer, [first, second], milestones=[warmup])

    assert factors(Schedule("cosine", 20, warmup)) == pytest.approx(by_torch(20, make), abs=1e-12)


def test_cosine_in_closed_form():
    schedule = Schedule("cosine", steps=8, warmup=0)
    assert schedule.factor(1) == 1.0
    assert schedule.factor(5) == pytest.approx(0.5)
    assert schedule.factor(8) == pytest.approx(0.5 * (1 + math.cos(math.pi * 7 / 8)))
    assert factors(schedule) == sorted(factors(schedule), reverse=True)
    assert schedule.factor(9) == schedule.factor(100) == 0.0  # none behind the end


def test_plateau_by_hand():
    schedule = Schedule("plateau", steps=100, patience=2, cut=0.5)
    seen = []
    for loss in (3.0, 2.0, 2.0, 2.5, 1.9, 2.0, 1.9, 1.9, 2.0, 1.0, 1.1, 0.9):
        schedule.observe(loss)
        seen.append(schedule.factor(50))
    assert seen == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.125, 0.125]


@pytest.mark.parametrize(("patience", "cut"), [(1, 0.5), (2, 0.1), (3, 0.9)])
def test_plateau_is_that_of_torch(patience, cut):
    """Of torch's patience one more is waited for."""
    losses = torch.randn(60, generator=torch.Generator().manual_seed(0)).round(decimals=1).tolist()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = ReduceLROnPlateau(optimizer, factor=cut, patience=patience - 1, threshold=0.0, eps=0.0)
    schedule = Schedule("plateau", steps=100, patience=patience, cut=cut)
    for loss in losses:
        scheduler.step(loss)
        schedule.observe(loss)
        assert schedule.factor(10) == pytest.approx(optimizer.param_groups[0]["lr"])
    assert schedule.factor(10) < 0.2


@pytest.mark.parametrize("name", SCHEDULES)
def test_only_a_plateau_minds_the_losses(name):
    schedule = Schedule(name, steps=10, patience=1)
    before = factors(schedule)
    for _ in range(3):
        schedule.observe(1.0)
    assert (factors(schedule) == before) == (name != "plateau")


def test_state_round_trip():
    for count in range(8):
        losses = [3.0, 2.0, 2.0, 2.5, 1.9, 2.0, 1.9, 1.9]
        first, second = Schedule("plateau", steps=10, warmup=2), Schedule("plateau", steps=10, warmup=2)
        for loss in losses[:count]:
            first.observe(loss)
        second.load_state(first.state())
        for loss in losses[count:]:
            first.observe(loss)
            second.observe(loss)
        assert first.state() == second.state()
        assert factors(first) == factors(second)


def test_a_state_of_another_schedule():
    with pytest.raises(ValueError, match="it was saved with the schedule cosine, this one is plateau"):
        Schedule("plateau", 10).load_state(Schedule("cosine", 10).state())


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (
            {"name": "cosin"},
            r"unknown schedule 'cosin' \(did you mean 'cosine'\?\); there are constant, cosine",
        ),
        ({"warmup": -1}, "warmup is -1"),
        ({"warmup": 1.5}, "warmup is 1.5"),
        ({"warmup": 10}, "warmup is 10; it must be below the 10 steps"),
        ({"patience": 0}, "patience is 0"),
        ({"cut": 0.0}, "cut is 0.0"),
        ({"cut": 1.0}, "cut is 1.0"),
        ({"cut": math.nan}, "cut is nan"),
    ],
    ids=str,
)
def test_arguments_that_make_no_sense(arguments, match):
    with pytest.raises(UsageError, match=match):
        Schedule(**{"name": "cosine", "steps": 10, **arguments})
