"""A verdict is that of the worst component, by its own tolerance."""

import math

import pytest
import torch

from rnnkit.matrix.comparison import Comparison
from rnnkit.matrix.verdict import FAILED, PASSED, judged


def compared(name, found, expected, tolerance=1e-6):
    return Comparison(name, *(torch.tensor(t, dtype=torch.float64) for t in (found, expected)), tolerance)


def test_the_worst_is_that_of_its_own_tolerance():
    near, nearer = compared("a", [1.0, 2.0 + 1e-8], [1.0, 2.0], 1e-6), compared("b", [1.0 + 1e-9], [1.0], 1.5e-9)
    for order in ((near, nearer), (nearer, near)):
        verdict = judged(order)
        assert verdict.outcome == PASSED
        assert (verdict.component, verdict.reason) == ("b", "")
        assert math.isclose(verdict.error, 1e-9, rel_tol=1e-3)


def test_what_is_wrong_is_named_with_its_place():
    verdict = judged([compared("output", [1.0], [1.0]), compared("the gradient of h0", [[1.0, 2.0]], [[1.0, 4.0]])])
    assert verdict.outcome == FAILED
    assert verdict.reason == ("the gradient of h0 at [0, 1] is 2; the truth is 4 (error 5.0e-01, at most 1e-06)")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_wrong(bad):
    for order in ((0, 1), (1, 0)):
        parts = [compared("a", [1.0, bad], [1.0, 1.0]), compared("b", [9.0], [1.0])]
        verdict = judged([parts[k] for k in order])
        assert verdict.outcome == FAILED
        assert verdict.component == "a"
        assert "a at [1] is" in verdict.reason


def test_another_shape_is_wrong():
    verdict = judged([compared("output", [1.0, 1.0], [1.0])])
    assert verdict.outcome == FAILED
    assert verdict.reason == "output has shape (2,); it must be (1,)"


def test_nothing_is_not_right():
    assert judged([]).outcome == FAILED


def test_small_gradients_are_not_measured_by_themselves():
    assert compared("a", [1e-9], [0.0]).error == pytest.approx(1e-7)
    assert Comparison("a", torch.ones(1), torch.ones(1) * (1 + 2**-23), 1.0).error == pytest.approx(1.0)


def test_a_scalar_has_no_place():
    assert judged([compared("the slope", 1.0, 2.0)]).reason.startswith("the slope is 1; the truth is 2 ")
