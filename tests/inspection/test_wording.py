"""Numbers as sentences have them."""

import math

import numpy as np
import pytest

from rnnkit.inspection.result import plain
from rnnkit.inspection.wording import count, listed, number, percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.9999999, "1.00"),
        (12.345, "12.3"),
        (-0.0123, "-0.0123"),
        (99.97, "100"),
        (12345.6, "12346"),
        (1.234e-7, "1.2e-07"),
        (3e9, "3.0e+09"),
        (math.inf, "infinite"),
        (-math.inf, "minus infinite"),
        (math.nan, "unknown"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.00001, "< 0.1 %"), (0.0123, "1.2 %"), (0.01, "1 %"), (0.5, "50 %"), (math.nan, "unknown")],
)
def test_shares_are_percent(share, text):
    assert percent(share) == text


def test_counts_and_lists():
    assert (count(1, "step"), count(2, "step")) == ("1 step", "2 steps")
    assert listed("abc") == "a, b, c"
    assert listed("abcd", most=2) == "a, b and 2 more"


def test_what_json_lacks_is_made_plain():
    values = {"a": np.array([1.0, np.nan, np.inf]), "b": (np.int64(3), 1 + 2j), 4: np.float32(0.5), "c": True}
    assert plain(values) == {"a": [1.0, None, None], "b": [3, [1.0, 2.0]], "4": 0.5, "c": True}
