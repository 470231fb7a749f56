"""What a class says of its gates is held to its weights: those of a cell without any are named, with their line."""

import pytest
import torch

import rnnkit
from rnnkit.testing.cell_promises import CellPromises
from rnnkit.testing.conformance import Sizes

from .broken_cells import GatesOfNothing, GatesTooFew, Whole


def gates_of(kind):
    return list(CellPromises(kind, {}, Sizes()).gates())


def test_gates_without_stacked_weights_are_a_broken_promise():
    (said,) = gates_of(GatesOfNothing)
    assert said.startswith(
        "gates names blocks of rows, and there is no weight_ih, weight_hh, bias_ih or bias_hh; leave it out ("
    )
    assert "broken_cells.py:" in said


def test_gates_of_too_few_rows_are_named_still():
    assert gates_of(GatesTooFew)[0].startswith("gates names 1 blocks of 5 rows; weight_ih has 10 rows in all")


@pytest.mark.parametrize("kind", [Whole, *(rnnkit.cells[name] for name in ("lstm", "br", "mingru"))])
def test_cells_that_keep_it_are_told_nothing(kind):
    assert gates_of(kind) == []


@pytest.mark.parametrize(("name", "seed"), [("ligru", 1), ("ligru", 4), ("slstm", 5)])
def test_gates_are_not_accused_by_chance(name, seed):
    """A candidate without bounds lets more through than a forget gate keeps; an exponential gate may be one, whatever
    its rows."""
    torch.manual_seed(seed)
    assert gates_of(rnnkit.cells[name]) == []
