"""Ratios of interleaved times, and their intervals."""

import numpy as np
import pytest

from rnnkit.benchmark.timing import Ratio, geometric_mean, interleaved, mean_ratio, ratio


def test_every_second_round_goes_backward_and_the_first_do_not_count():
    calls = []
    times = interleaved([lambda: calls.append("a"), lambda: calls.append("b"), lambda: calls.append("c")], 3, warm_up=1)
    assert calls == ["a", "b", "c", "c", "b", "a", "a", "b", "c", "c", "b", "a"]
    assert [len(taken) for taken in times] == [3, 3, 3]
    assert all(seconds > 0 for taken in times for seconds in taken)


def test_a_ratio_is_of_pairs():
    drift = np.linspace(1, 10, 31)  # a machine that slows down, and both with it
    found = ratio(2 * drift, drift)
    assert found == pytest.approx((2, 2, 2))
    assert str(found) == "2.00 (2.00 to 2.00)"


def test_the_interval_covers_the_truth_and_shrinks():
    noise = np.random.default_rng(0)
    widths = []
    for pairs in (30, 3000):
        reference = noise.lognormal(0, 0.1, pairs)
        found = ratio(1.5 * noise.lognormal(0, 0.1, pairs), reference)
        assert found.low < 1.5 < found.high
        assert found.low <= found.median <= found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 5


def test_twice_and_half_make_one():
    assert geometric_mean([2, 0.5]) == pytest.approx(1)
    assert geometric_mean([1, 10, 100]) == pytest.approx(10)


def test_a_mean_of_ratios_is_as_sure_as_its_parts():
    assert mean_ratio([Ratio(2, 1, 4)]) == pytest.approx((2, 1, 4))
    same = [Ratio(2, 1, 4)] * 4
    assert mean_ratio(same) == pytest.approx((2, 2 / 2**0.5, 2 * 2**0.5))  # half the error, in logarithms
    assert mean_ratio([Ratio(4, 4, 4), Ratio(1, 0.5, 1)]) == pytest.approx((2, 2**0.5, 2))


def test_the_interval_of_a_mean_covers_the_truth():
    noise = np.random.default_rng(1)
    covered = 0
    for _ in range(40):
        parts = []
        for true in (1.5, 0.7, 1.1):
            parts.append(ratio(true * noise.lognormal(0, 0.1, 40), noise.lognormal(0, 0.1, 40)))
        low, high = mean_ratio(parts)[1:]
        covered += low < geometric_mean([1.5, 0.7, 1.1]) < high
    assert 32 <= covered <= 40


def test_scaled():
    assert Ratio(2, 1, 3).times(0.5) == Ratio(1, 0.5, 1.5)
