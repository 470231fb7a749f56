"""The bootstrap against closed forms, resamples that are written out, and a coverage that is counted."""

import math
from itertools import product
from statistics import median as median_of

import numpy as np
import pytest

from rnnkit.racing.bootstrap import Interval, attainable, difference, enough_seeds, median, paired_interval

INF = math.inf


@pytest.mark.parametrize(
    ("values", "middle"),
    [
        ([3.0], 3),
        ([1.0, 4.0], 2.5),
        ([5.0, 1.0, 2.0], 2),
        ([1.0, INF], INF),
        ([1.0, 2.0, INF], 2),
        ([1.0, INF, INF], INF),
        ([-INF, 0.5, 0.25], 0.25),
        ([-INF, 0.5], -INF),
    ],
)
def test_the_median_takes_failures_as_infinite(values, middle):
    assert median(values) == middle


def test_the_difference_is_that_of_the_medians():
    assert difference([1.0, 5.0, 3.0], [0.0, 1.0, 9.0]) == 2.0
    assert difference([INF, INF], [INF, 1.0]) == 0.0
    assert difference([INF, INF], [1.0, 1.0]) == INF


def test_one_seed_has_no_interval():
    assert paired_interval([1.0], [2.0]) is None


def test_of_two_seeds_it_goes_from_one_difference_to_the_other():
    """The resamples are aa, ab, ba, bb: their medians differ by d_a, the mean twice, and d_b."""
    assert paired_interval([3.0, 7.0], [1.0, 1.0]) == Interval(2.0, 6.0)


def test_equal_differences_leave_no_doubt():
    values = np.array([0.3, 0.1, 0.9, 0.5])
    low, high = paired_interval(list(values + 2), list(values))
    assert (low, high) == pytest.approx((2.0, 2.0))


def test_of_few_seeds_every_resample_is_taken():
    rng = np.random.default_rng(1)
    values, reference = rng.normal(size=4), rng.normal(size=4)
    drawn = sorted(
        median_of(values[list(chosen)]) - median_of(reference[list(chosen)]) for chosen in product(range(4), repeat=4)
    )
    # The least value that has at least 2.5 % of the 256 at or below it is the 7th; of 97.5 %, the 250th.
    assert paired_interval(list(values), list(reference)) == pytest.approx((drawn[6], drawn[249]))


def test_of_many_seeds_it_is_the_same_at_every_call_and_near_the_distribution_of_the_median():
    values = list(np.arange(101.0))
    found = paired_interval(values, [0.0] * 101)
    assert found == paired_interval(values, [0.0] * 101)
    # The median of a resample is below k + 1 where 51 of 101 draws are: a binomial, 50 +- 1.96 sqrt(101) / 2.
    assert found.low == pytest.approx(50 - 9.8, abs=1.5)
    assert found.high == pytest.approx(50 + 9.8, abs=1.5)


def test_pairs_are_kept_together():
    """Where seeds differ much more than cells do, the pairs show it; drawn apart they would not."""
    seeds = np.random.default_rng(2).normal(scale=100, size=9)
    assert paired_interval(list(seeds + 1), list(seeds)).parts


def test_failures_widen_the_interval_to_infinity():
    low, high = paired_interval([1.0, 2.0, INF], [1.0, 1.0, 1.0])
    assert (low, high) == (0.0, INF)


@pytest.mark.parametrize(("low", "high", "parts"), [(1, 2, True), (-2, -1, True), (-1, 1, False), (0, 1, False)])
def test_what_zero_lies_in_is_not_told_apart(low, high, parts):
    assert Interval(low, high).parts == parts


def test_what_an_interval_can_claim_is_counted():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(20_000, 3))  # their median is 0
    covered = ((draws.min(1) <= 0) & (draws.max(1) >= 0)).mean()
    assert attainable(3) == 0.75 == pytest.approx(covered, abs=0.01)
    assert enough_seeds() == 6
    assert attainable(6) >= 0.95 > attainable(5)
