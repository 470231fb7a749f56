"""Timing by interleaved pairs: what slows the machine down slows both sides down."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnkit.benchmark.clock import WALL, Call, Clock, Taken

RESAMPLES = 2000


class Ratio(NamedTuple):
    """The median of the pairs' ratios and the middle 95 % of its bootstrap."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"

    def times(self, factor: float) -> "Ratio":
        """Scale the median and its interval."""
        return Ratio(*(factor * bound for bound in self))


def interleaved(functions: Sequence[Call], rounds: int, warm_up: int = 2) -> list[list[float]]:
    """Time each function on the CPU in turn; seconds of each, see `in_turns`."""
    return [[taken.seconds for taken in row] for row in in_turns(functions, rounds, warm_up)]


def in_turns(functions: Sequence[Call], rounds: int, warm_up: int = 2, clock: Clock = WALL) -> list[list[Taken]]:
    """Time each function in turn, round after round; what each took, without the first `warm_up` rounds.

    Every second round goes backward, so that none always comes after the same other one.
    """
    times: list[list[Taken]] = [[] for _ in functions]
    for k in range(warm_up + rounds):
        for function, taken in list(zip(functions, times, strict=True))[:: -1 if k % 2 else 1]:
            taken.append(clock.take(function))
    return [taken[warm_up:] for taken in times]


def ratio(times: Sequence[float], reference: Sequence[float]) -> Ratio:
    """Compare times pair by pair: above one, `reference` was the faster."""
    ratios = np.array(times) / np.array(reference)
    draws = np.random.default_rng(0).choice(ratios, (RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return Ratio(float(np.median(ratios)), float(low), float(high))


def geometric_mean(values: Sequence[float]) -> float:
    """Average ratios, so that twice and half make one."""
    return float(np.exp(np.mean(np.log(values))))


def mean_ratio(ratios: Sequence[Ratio]) -> Ratio:
    """Average ratios of independent measurements: their geometric mean, its interval from theirs by error propagation.

    In logarithms the mean of n values errs by the root of the sum of their squared errors, divided by n.
    """
    middle, low, high = np.log(np.array(ratios)).T
    below, above = (np.sqrt(np.sum(np.square(middle - bound))) / len(ratios) for bound in (low, high))
    mean = np.mean(middle)
    return Ratio(*(float(np.exp(value)) for value in (mean, mean - below, mean + above)))
