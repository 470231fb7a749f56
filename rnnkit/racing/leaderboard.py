"""The leaderboard: the cells of a race by the median of their last validation, and how sure their order is."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rnnkit.racing.bootstrap import Interval, difference, median, paired_interval
from rnnkit.racing.equal_cost import Size
from rnnkit.racing.plan import Plan
from rnnkit.racing.trial import FINISHED, Result


class Reached(NamedTuple):
    """How soon the target is reached: medians over the seeds, infinite where half of them or more do not."""

    steps: float
    tokens: float
    seconds: float
    seeds: int
    """How many reach it."""


@dataclass(frozen=True)
class Place:
    """A cell's place in a race. Figures are those of the last validation of each training, in the task's metric."""

    rank: int
    """From 1 on; cells of equal medians share one, and those of which half the trainings or more failed are last."""

    cell: str
    size: Size
    lr: float
    """The learning rate that was chosen."""

    tried: dict[float, float]
    """The median of each learning rate on the seeds of tuning; infinite where trainings failed. Empty: one rate."""

    values: list[float]
    """One a seed; infinite where the training did not finish."""

    median: float
    low: float
    high: float
    """The least and the greatest value."""

    difference: float
    """The median minus that of the first place; 0 for itself."""

    interval: Interval | None
    """Of the difference: the middle 95 % of a paired bootstrap. None for the first place, and of one seed."""

    failed: dict[str, int]
    """How many trainings ended early, by how."""

    seconds: float
    """Median time of a training, validation left out; of those that finished."""

    reached: Reached | None
    """How soon the target is reached, if there is one."""


def leaderboard(plan: Plan) -> list[Place]:
    """Return the places of a race whose trainings all have a result, the best first.

    Of equal medians, the cell that was named first comes first.
    """
    worst = -math.inf if plan.higher_is_better else math.inf
    sign = -1 if plan.higher_is_better else 1
    results = [[plan.results[trial.name] for trial in plan.ranking(k)] for k in range(len(plan.sizes))]
    values = [[result.score(plan.higher_is_better) for result in of_cell] for of_cell in results]
    medians = [median(own) for own in values]
    order = sorted(range(len(medians)), key=lambda number: (sign * medians[number], number))
    first = order[0]
    places = []
    for number in order:
        rank = 1 + sum(sign * other < sign * medians[number] for other in medians)
        tells = number != first and medians[first] != worst
        places.append(
            Place(
                rank=rank,
                cell=plan.sizes[number].cell,
                size=plan.sizes[number],
                lr=plan.rate(number) or math.nan,
                tried={rate: value for rate, value in plan.tuning(number).items() if value is not None}
                if plan.settings.tunes
                else {},
                values=values[number],
                median=medians[number],
                low=min(values[number]),
                high=max(values[number]),
                difference=difference(values[number], values[first]),
                interval=paired_interval(values[number], values[first]) if tells else None,
                failed=dict(Counter(result.outcome for result in results[number] if result.outcome != FINISHED)),
                seconds=_median_seconds(results[number]),
                reached=_reached(results[number], plan.settings.target, plan.higher_is_better),
            )
        )
    return places


def reached_at(result: Result, target: float, higher_is_better: bool) -> int | None:
    """Return which validation is the first to reach the target; None: none does."""
    for number, metric in enumerate(result.metric):
        if metric >= target if higher_is_better else metric <= target:
            return number
    return None


def _reached(results: Sequence[Result], target: float | None, higher_is_better: bool) -> Reached | None:
    if target is None:
        return None
    found = [reached_at(result, target, higher_is_better) for result in results]
    figures = [
        [math.inf if at is None else getattr(result, name)[at] for result, at in zip(results, found, strict=True)]
        for name in ("step", "tokens", "seconds")
    ]
    steps, tokens, seconds = map(median, figures)
    return Reached(steps, tokens, seconds, sum(at is not None for at in found))


def _median_seconds(results: Sequence[Result]) -> float:
    finished = [result.seconds[-1] for result in results if result.finished]
    return median(finished) if finished else math.nan
