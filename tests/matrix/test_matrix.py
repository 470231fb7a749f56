"""The matrix is green: all of it in `make test-all`, in `make test` a part in which all pairs of values occur."""

from collections import Counter
from functools import cache
from importlib.metadata import entry_points
from itertools import cycle, product

import pytest

import rnnkit
from rnnkit.matrix.case import CHECKS, DIRECTIONS, LAYOUTS, Case, product_of
from rnnkit.matrix.checks import surroundings
from rnnkit.matrix.examination import examined
from rnnkit.matrix.problem import Problem
from rnnkit.matrix.truth import Truth
from rnnkit.matrix.verdict import DECLARED, FAILED, PASSED

from ..core_cells import CORE_CELLS
from ..covering import covering

CATALOGUE = [cell for cell in rnnkit.cells if cell not in CORE_CELLS]

# Of kernels those that other tests compile too: of the core's cells, in float64.
OTHERS = [unroller for unroller in rnnkit.unrollers if unroller != "compiled"]

NO_KERNEL = {"convgru", "convlstm", "mclstm", "mlstm"}
LINEAR = {"lru", "mingru", "minlstm", "qrnn", "tgru", "tlstm", "trnn"}
DRAWING = {"zoneout", "variational"}

IDLE = {
    "clockwork": {"t0"},  # a step's number: it chooses who steps, and nothing depends on how much it is
    "phased": {"open_ratio_l0"},  # where no gate is open; tests/zoo/test_phased.py opens some
    "taugru": {f"h_{k}0" for k in range(6)},  # states that come up after more steps than are taken
}
"""What has no gradient in so few steps, as it should be."""


def declared(noun):
    """Return the names that the installed entry points offer, read without the registry."""
    modules = [entry.load() for entry in entry_points(group="rnnkit")]
    return {kind.name for module in modules for kind in getattr(module, f"rnnkit_{noun}s", list)()}


@cache
def whole():
    return list(product_of(rnnkit.cells, list(rnnkit.unrollers)))


def part():
    """Return cases in which all pairs of values occur for the core's cells, and every cell of the catalogue."""
    core = [
        case
        for case in product_of(CORE_CELLS, list(rnnkit.unrollers))
        if case.cell == "lstm" or (case.unroller, case.check) != ("compiled", "float32")
    ]
    kept = covering([case._asdict() for case in core], 2)
    turns = cycle(covered([(u, *rest) for u, *rest in product(OTHERS, LAYOUTS, DIRECTIONS, CHECKS)]))
    catalogue = [Case(cell, *turn) for cell, turn in zip(CATALOGUE, turns, strict=False)]
    return sorted([*(core[k] for k in kept), *catalogue], key=lambda case: case.problem)


def covered(tuples):
    kept = covering([dict(enumerate(values)) for values in tuples], 2)
    return [tuples[k] for k in sorted(kept)]


def exception_of(case):
    """Tell by our own knowledge whether a case is a declared exception."""
    return (
        (case.layout == "packed" and case.check in ("vmap", "jvp"))
        or (case.unroller == "compiled" and case.cell in NO_KERNEL)
        or (case.unroller == "scan" and case.cell not in LINEAR)
        or (case.cell in DRAWING and case.check == "float32")
    )


def hold(cases):
    """Examine cases: none may fail, and the declared are those that we know of."""
    outcomes = Counter()
    for case, verdict in examined(cases):
        assert verdict.outcome != FAILED, f"{case}: {verdict.reason}"
        assert (verdict.outcome == DECLARED) == exception_of(case), f"{case}: {verdict}"
        assert bool(verdict.reason) == (verdict.outcome == DECLARED)
        outcomes[verdict.outcome] += 1
    assert outcomes[PASSED]


def test_nothing_is_missing_from_the_matrix():
    everything = set(product(declared("cell"), declared("unroller"), LAYOUTS, DIRECTIONS, CHECKS))
    assert {tuple(case) for case in whole()} == everything
    for check in ("first", "second"):
        assert sum(case.check == check and not exception_of(case) for case in whole()) >= 1000


def test_a_part_has_all_pairs_of_the_core_and_every_cell():
    cases = part()
    pairs = set(product(CORE_CELLS, LAYOUTS)) | set(product(LAYOUTS, CHECKS)) | set(product(CORE_CELLS, CHECKS))
    found = {pair for case in cases for pair in product(case, case)}
    assert pairs | set(product(rnnkit.unrollers, [*CORE_CELLS, *LAYOUTS, *DIRECTIONS])) <= found
    assert {case.cell for case in cases} == set(rnnkit.cells)


def test_a_part_of_the_matrix_is_green():
    hold(part())


@pytest.mark.slow
@pytest.mark.parametrize("cell", rnnkit.cells)
def test_the_matrix_is_green(cell):
    hold([case for case in whole() if case.cell == cell])


@pytest.mark.parametrize("cell", rnnkit.cells)
def test_every_gradient_is_one_of_something(cell):
    """A truth of zeros would be met by an unroller that returns zeros."""
    problem = Problem(Case(cell, "loop", "time-major", "uni", "first"))
    truth = Truth(problem)
    with surroundings(problem.seed):
        found = [truth.gradients_at(problem.tensors), truth.curvatures(0)]
    for order, gradients in enumerate(found, 1):
        zero = {name for name, tensor in gradients.items() if not tensor.any()} - IDLE.get(cell, set())
        # A bias that is added last moves the output by itself: its second derivatives are zero.
        assert {name for name in zero if order == 1 or "bias" not in name} == set()
