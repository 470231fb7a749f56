"""Medians over seeds, and the paired bootstrap of their difference.

Seeds are paired: training k of every cell sees the same batches in the same order. So a resample draws seeds, and takes
all cells' figures of those seeds. Figures may be infinite, as that of a training which diverged is.

Source: Efron & Tibshirani, "An Introduction to the Bootstrap", Chapman & Hall, 1993, chapters 8 and 13 (percentiles).
"""

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]

CONFIDENCE = 0.95
ALL_AT_MOST = 5
"""Of so few seeds all resamples are taken, 5 ** 5 at most; of more, so many that are drawn:"""
RESAMPLES = 10_000


class Interval(NamedTuple):
    """The middle 95 % of a bootstrap."""

    low: float
    high: float

    @property
    def parts(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


def median(values: Sequence[float]) -> float:
    """Return the median; of two middle values their mean, and an infinite one outweighs any other."""
    return float(_medians(np.array([values], dtype=float))[0])


def difference(values: Sequence[float], reference: Sequence[float]) -> float:
    """Return the median of `values` minus that of `reference`; two equal infinities differ by nothing."""
    return float(_minus(np.array([median(values)]), np.array([median(reference)]))[0])


def paired_interval(values: Sequence[float], reference: Sequence[float]) -> Interval | None:
    """Return the bootstrap's interval of `difference`, seeds resampled in pairs; None of one seed.

    Args:
        values: a figure of each seed.
        reference: those of another cell, of the same seeds.
    """
    count = len(values)
    if count < 2:
        return None
    chosen = _resamples(count)
    pairs = np.array([values, reference], dtype=float)
    drawn = _minus(*(_medians(side[chosen]) for side in pairs))
    tail = (1 - CONFIDENCE) / 2
    # Not interpolated: between a figure and infinity there is none.
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf")
    return Interval(float(low), float(high))


def attainable(count: int) -> float:
    """Return the most that any interval of a median, from so many seeds, can claim to cover it.

    The widest goes from the least to the greatest figure, and misses the median where all lie on one side of it.
    """
    return 1.0 - 2.0 ** (1 - count)


def enough_seeds() -> int:
    """Return how many seeds it takes for an interval of a median to be able to cover what it claims."""
    return math.ceil(1 - math.log2(1 - CONFIDENCE))


def percent(share: float, digits: int = 0) -> str:
    """Return a share as text: "95 %"."""
    return f"{100 * share:.{digits}f} %"


def _resamples(count: int) -> Indices:
    if count <= ALL_AT_MOST:
        return np.array(list(product(range(count), repeat=count)), dtype=np.int64)
    return np.random.default_rng(0).integers(0, count, (RESAMPLES, count))


def _medians(rows: Numbers) -> Numbers:
    """Return the median of each row; of two middle values of opposite infinities there is none, and 0 stands for it."""
    rows, middle = np.sort(rows, axis=1), rows.shape[1] // 2
    if rows.shape[1] % 2:
        return rows[:, middle]
    low, high = rows[:, middle - 1], rows[:, middle]
    with np.errstate(invalid="ignore"):
        return np.nan_to_num((low + high) / 2, nan=0.0, posinf=math.inf, neginf=-math.inf)


def _minus(values: Numbers, reference: Numbers) -> Numbers:
    with np.errstate(invalid="ignore"):
        found = values - reference
    return np.where(values == reference, 0.0, found)
