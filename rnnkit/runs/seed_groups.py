"""Runs that differ in nothing but their seed, and how far their figures lie apart."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from rnnkit.runs.comparison import OF_NO_ACCOUNT, Contender

NOT_LEARNT_BY = {"seed", *OF_NO_ACCOUNT}
"""Settings in which runs of a group may differ: the seed, and what says only how safely a run is kept."""


class Spread(NamedTuple):
    """A figure over several seeds; NaN where there is none."""

    mean: float
    deviation: float
    """The standard deviation of the sample (n - 1); NaN for fewer than two seeds."""
    least: float
    most: float

    @classmethod
    def over(cls, values: Sequence[float]) -> "Spread":
        """Return that of values."""
        if not values:
            return cls(math.nan, math.nan, math.nan, math.nan)
        deviation = stdev(values) if len(values) > 1 else math.nan
        return cls(fmean(values), deviation, min(values), max(values))


class SeedGroup(NamedTuple):
    """Runs of the same settings but for the seed."""

    runs: list[Contender]
    counted: list[Contender]
    """Those whose figures are taken: one a seed, as far as the others, with a figure."""
    left_out: list[str]
    """A sentence for each of the others."""

    @property
    def seeds(self) -> list[int]:
        """Of the runs that are counted."""
        return [run.history.settings.seed for run in self.counted]

    @property
    def last(self) -> Spread:
        """The validation metric at the end."""
        return Spread.over([run.last for run in self.counted])

    @property
    def best(self) -> Spread:
        """The best validation metric of each run."""
        return Spread.over([run.best for run in self.counted])


def seed_groups(runs: Iterable[Contender]) -> list[SeedGroup]:
    """Put runs of equal settings together, in the order in which the first of each was given."""
    parts: dict[str, list[Contender]] = {}
    for run in runs:
        parts.setdefault(_key(run), []).append(run)
    return [_group(members) for members in parts.values()]


def grouped_settings(names: Iterable[str]) -> list[str]:
    """Return which of these settings are the same in all runs of a group."""
    return [name for name in names if name not in NOT_LEARNT_BY]


def _key(run: Contender) -> str:
    settings: dict[str, Any] = {name: run.settings[name] for name in grouped_settings(sorted(run.settings))}
    return repr((run.history.settings.cell, run.history.settings.steps, settings))


def _group(runs: list[Contender]) -> SeedGroup:
    """Leave out, with a sentence each, what would spoil a mean."""
    furthest = max(run.steps for run in runs)
    early = runs[0].history.settings.patience > 0  # then runs end where they have learnt what they can
    counted: dict[int, Contender] = {}
    left_out: list[str] = []
    for run in runs:
        seed = run.history.settings.seed
        if run.steps < furthest and not early:
            left_out.append(f"{run.label} is at step {run.steps}, others at {furthest}")
        elif math.isnan(run.last):
            left_out.append(f"{run.label} has no figure at its end")
        elif seed in counted:
            left_out.append(f"{run.label} has seed {seed}, as {counted[seed].label} has")
        else:
            counted[seed] = run
    return SeedGroup(runs, list(counted.values()), left_out)
