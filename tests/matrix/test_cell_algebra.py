"""Cell algebra: wrappers around any cell, and around each other, pass the matrix as their cells do."""

from itertools import cycle, product

import pytest

import rnnkit
from rnnkit.layers.wrapper import Wrapper
from rnnkit.matrix.case import CHECKS, DIRECTIONS, LAYOUTS, Case, product_of
from rnnkit.matrix.examination import examined
from rnnkit.matrix.verdict import FAILED, PASSED

WRAPPERS = [name for name, kind in rnnkit.cells.items() if issubclass(kind, Wrapper)]
INNER = [name for name in rnnkit.cells if name not in WRAPPERS]

COMPOSITIONS = [
    "zoneout(norm(peephole))",
    "norm(zoneout(peephole), input=false)",
    "residual(variational(mgu))",
    "learnt_state(residual(norm(gru)))",
    "variational(zoneout(lstm, rate={'h': 0.05, 'c': 0.5}), rate=0.3)",
    "zoneout(residual(norm(janet)))",
    "norm(learnt_state(mlstm))",
]

# Each in another layout, direction and order than the one before.
TURNS = cycle(product(LAYOUTS, DIRECTIONS, ("first", "second")))
AROUND = [
    Case(f"{wrapper}({inner})", "loop", *turn)
    for (inner, wrapper), turn in zip(product(INNER, WRAPPERS), TURNS, strict=False)
]


def hold(cases):
    outcomes = set()
    for case, verdict in examined(list(cases)):
        assert verdict.outcome != FAILED, f"{case}: {verdict.reason}"
        outcomes.add(verdict.outcome)
    assert PASSED in outcomes


@pytest.mark.one_in(17)
@pytest.mark.parametrize("case", AROUND, ids=str)
def test_every_wrapper_around_every_cell(case):
    hold([case])


@pytest.mark.slow
@pytest.mark.parametrize("expression", COMPOSITIONS)
def test_a_composition_passes_the_matrix(expression):
    hold(product_of([expression], list(rnnkit.unrollers)))


def test_some_of_each_composition():
    turns = cycle(product(("checkpoint", "loop"), ("lengths", "reset", "packed"), ("bi",), CHECKS[:2]))
    hold(Case(expression, *next(turns)) for expression in COMPOSITIONS)
