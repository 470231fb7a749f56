"""Cases are examined one by one: what one raises is its own fault, and whoever stands in is noticed."""

import warnings

import pytest
import torch

import rnnkit
from rnnkit.matrix.case import Case, product_of
from rnnkit.matrix.checks import CHECK
from rnnkit.matrix.examination import examined
from rnnkit.matrix.exceptions import PACKING
from rnnkit.matrix.problem import Problem
from rnnkit.matrix.truth import Truth
from rnnkit.matrix.verdict import DECLARED, FAILED, PASSED


def verdict(cell, unroller="loop", layout="time-major", direction="uni", check="first"):
    ((_, found),) = examined([Case(cell, unroller, layout, direction, check)])
    return found


def test_what_a_cell_raises_is_one_line_and_no_other_s_fault(own_cells):
    cases = [*product_of([f"{own_cells}:Broken", f"{own_cells}:Unbuilt"], ["loop"], ["first"], ["lengths"], ["uni"])]
    broken, unbuilt, right = (found for _, found in examined([*cases, Case("gru", "loop", "lengths", "uni", "first")]))
    assert (broken.outcome, broken.reason) == (FAILED, "RuntimeError: out of order")
    assert unbuilt.outcome == FAILED
    assert "never at this size" in unbuilt.reason
    assert right.outcome == PASSED


def test_a_gradient_that_is_cut_is_wrong_in_both_orders_of_examination(own_cells):
    for check in ("first", "jvp"):
        found = verdict(f"{own_cells}:Detached", check=check)
        assert found.outcome == FAILED, check
    assert verdict(f"{own_cells}:Right").outcome == PASSED


@pytest.mark.parametrize(
    ("cell", "unroller", "by_loop"),
    [("lstm", "loop", False), ("lstm", "vendor", False), ("peephole", "vendor", True), ("gru", "checkpoint", False)],
)
def test_whether_the_loop_stood_in(cell, unroller, by_loop):
    loop = rnnkit.unrollers["loop"]
    before = loop.__call__
    assert verdict(cell, unroller).by_loop is by_loop
    assert loop.__call__ is before


def test_a_cell_that_is_straight_through_is_an_exception_of_its_own(own_cells):
    found = verdict(f"{own_cells}:Straight")
    assert found.outcome == DECLARED
    assert "straight_through" in found.reason


def test_an_unroller_that_does_not_apply_says_why():
    found = verdict("gru", "scan")
    assert found.outcome == DECLARED
    assert found.reason.startswith("unroller 'scan': the cell is not linear in its state: ")


def test_an_unroller_may_decline_a_use_of_it():
    class OnceOnly(rnnkit.unrollers["loop"]):
        is_reference = False

        def refusal(self, cell, use="first"):
            return "it is differentiated once" if use == "second" else super().refusal(cell, use)

    globals()["OnceOnly"] = OnceOnly
    path = f"{__name__}:OnceOnly"
    assert verdict("gru", path, check="first").outcome == PASSED
    found = verdict("gru", path, check="second")
    assert (found.outcome, found.reason) == (DECLARED, "unroller 'onceonly': it is differentiated once")


@pytest.mark.parametrize("check", PACKING)
def test_torch_still_cannot_pack_under_a_transform(check):
    """Once it can, this is no exception any more."""
    problem = Problem(Case("gru", "loop", "packed", "uni", check))
    warnings.simplefilter("ignore")  # until the end of the test
    with pytest.raises((RuntimeError, NotImplementedError)):
        list(CHECK[check](problem, Truth(problem), problem.layer))


@pytest.mark.parametrize("check", CHECK)
def test_nothing_is_left_of_an_examination(check):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert verdict("zoneout(rnn)" if check != "float32" else "rnn", check=check).outcome == PASSED
    assert torch.equal(before, torch.get_rng_state())
