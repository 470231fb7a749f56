"""The page of the gradient matrix: its tables are those of the certificate, which is one of a whole run."""

import json

import catalogue
import gradient_matrix
import pytest

import rnnkit
from rnnkit.matrix.case import CHECKS

from ..matrix.plants import PLANTS

CERTIFICATE = gradient_matrix.certificate()


@pytest.mark.parametrize("name", gradient_matrix.TABLES)
def test_a_table_is_as_it_is_written_now(name):
    """Write them anew: python tools/gradient_matrix.py."""
    assert gradient_matrix.TABLES[name].read_text(encoding="utf-8") == gradient_matrix.tables()[name]


def test_the_certificate_is_of_a_whole_run_without_a_failure():
    found = {(row["cell"], row["unroller"], row["check"]) for row in CERTIFICATE["worst"]}
    cells, unrollers = ({row[noun] for row in CERTIFICATE["worst"]} for noun in ("cell", "unroller"))
    assert len(found) == len(cells) * len(unrollers) * len(CHECKS)
    assert cells <= set(rnnkit.cells)
    assert unrollers == set(rnnkit.unrollers)
    assert catalogue.CELLS.keys() <= cells
    assert CERTIFICATE["failures"] == []
    for check in ("first", "second"):
        assert CERTIFICATE["counts"][check]["passed"] >= 1000
    assert CERTIFICATE["effort"]["examined"] == sum(
        row.get(outcome, 0) for row in CERTIFICATE["worst"] for outcome in ("passed", "declared", "failed")
    )


def test_the_planted_terms_are_those_of_the_tests():
    plants = json.loads(gradient_matrix.PLANTS.read_text(encoding="utf-8"))
    assert [(plant["cell"], plant["what"]) for plant in plants] == [(plant.cell, plant.what) for plant in PLANTS]
    assert sum(bool(plant["red"]) for plant in plants) >= 39
