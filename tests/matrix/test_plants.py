"""Planted wrong terms: each turns the matrix red."""

import pytest

from rnnkit.matrix.case import product_of
from rnnkit.matrix.examination import examined
from rnnkit.matrix.verdict import FAILED, PASSED

from .plants import CONTROL, PLANTS, UNSEEN

FEW = ("star", "irnn", "tlstm", "gru")
"""One of each kind that needs no kernel: in a step, around the loop, in the layer, in an unroller."""


def reds(plant):
    """Yield what turns red, case by case."""
    for case, verdict in examined(list(product_of([plant.kind or plant.cell], [plant.unroller]))):
        if verdict.outcome == FAILED:
            yield case, verdict


def test_there_are_forty_in_forty_cells():
    assert len(PLANTS) == len({plant.cell for plant in PLANTS}) == 40


@pytest.mark.parametrize(
    "plant",
    [plant if plant.cell in FEW else pytest.param(plant, marks=pytest.mark.slow) for plant in PLANTS],
    ids=lambda plant: plant.cell,
)
def test_a_planted_wrong_term_turns_the_matrix_red(plant, monkeypatch):
    plant.patch(monkeypatch)
    case, verdict = next(reds(plant), (None, None))
    assert case is not None, f"{plant.what} in {plant.where} of {plant.cell} is not seen"
    assert verdict.component, verdict.reason  # a wrong number, and nothing that was raised


def test_what_is_planted_right_stays_green():
    cases = list(product_of([CONTROL.kind], ["loop"], layouts=["lengths"], directions=["bi"]))
    assert {verdict.outcome for _, verdict in examined(cases)} == {PASSED}


def test_what_shows_in_long_sequences_alone_is_not_seen():
    """The page says so: cases are small, and lengths and widths of all kinds are tried by other tests."""
    cases = list(product_of([UNSEEN.cell], [UNSEEN.unroller], layouts=["time-major"], directions=["uni"]))
    assert {verdict.outcome for _, verdict in examined(cases)} == {PASSED}
