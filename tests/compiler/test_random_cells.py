"""The law on random cells: whatever a step is composed of, compiled it gives the loop's numbers."""

import warnings
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, note, seed, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

import rnnkit

from .random_cells import FEATURES, OPERATIONS, OPERATORS, Program, alone, calls, programs
from .test_compiled_law import Call, backend_of, differences, draw, noise, results

DTYPES = (torch.float64, torch.float32)
CHUNKS, CELLS = 20, 25
"""Parts of the slow test, and cells in each."""


@pytest.fixture(autouse=True)
def quiet():
    """Let torch say of its own operators what it likes: that they are new, or old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@pytest.fixture(autouse=True)
def same_programs(monkeypatch):
    """Draw the same programs whatever this process has loaded: hypothesis tries the numbers in local modules too."""
    monkeypatch.setattr(providers, "_get_local_constants", providers.Constants)
    monkeypatch.setattr(providers, "CONSTANTS_CACHE", {})


def drawing(cells):
    """Return the settings with which so many cells are drawn: as slow as they are, and the same in every run."""
    return settings(
        max_examples=cells,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )


def law_on(cells, start, seen):
    """Hold that many random cells to the law, and count in `seen` what ran them."""

    @seed(start)
    @drawing(cells)
    @given(st.data(), programs(), st.sampled_from(DTYPES))
    def law(data, program, dtype):
        call = data.draw(calls(program), label="call")
        for one in (program, program.at_twice()):
            hold(one, call, dtype, seen)

    law()


def hold(program: Program, call: Call, dtype: torch.dtype, seen: Counter[str]) -> None:
    cell = program.build(dtype, call.seed)
    # What is so sensitive that float32 loses half of its digits says nothing about who is right.
    assume(noise(program.build(torch.float32, call.seed), call) < 1e-3)
    seen["cells"] += 1
    seen[backend_of(cell)] += 1
    for unroller in every_way():
        if not unroller.applies(cell) and str(unroller) != "compiled":
            continue
        seen[str(unroller)] += 1
        for batch in {call.batch, *rows_of(cell, unroller, dtype)}:
            note(f"dtype={dtype}, parameters drawn from {call.seed}, {batch} rows, run by {unroller}")
            found = differences(cell, replace(call, batch=batch), unroller)
            assert found == []
    again = replace(call, order=2, steps=min(call.steps, 3))
    if dtype == torch.float64 and call.gradients and is_derived_twice(cell, again):
        seen["derived twice"] += 1
        for unroller in every_way():
            if unroller.applies(cell):
                note(f"the gradients again, run by {unroller}")
                found = differences(cell, again, unroller)
                assert found == []


def is_derived_twice(cell: rnnkit.Cell, call: Call) -> bool:
    """Whether torch has a second derivative of all operations; of hardsigmoid and a few others it has none."""
    try:
        results(rnnkit.unrollers["loop"](), cell, draw(cell, call, torch.float64), call)
    except RuntimeError as error:
        if "is not implemented" not in str(error):
            raise
        return False
    return True


def every_way() -> list[rnnkit.Unroller]:
    """Return every unroller but the loop in each of its ways, those that are only taken at other sizes too."""
    return [one for name, kind in rnnkit.unrollers.items() if name != "loop" for one in kind.variants()]


def rows_of(cell: rnnkit.Cell, unroller: rnnkit.Unroller, dtype: torch.dtype) -> set[int]:
    """Choose a batch as large as a width of the cell; not where rows are added up one by one, which rounds more."""
    return set() if dtype == torch.float32 and str(unroller) == "rtrl" else {cell.state_sizes[0]}


def assert_most_are_native(seen: Counter[str]) -> None:
    """Say that the law was tested where it matters: on kernels, not on the loop itself, and twice derived."""
    assert seen["cpp"] >= 0.5 * seen["cells"], seen
    assert seen["compiled(backend='torch')"] >= 0.8 * seen["cells"], seen
    assert seen["derived twice"] >= 0.2 * seen["cells"], seen


@pytest.mark.parametrize("cells", [5, pytest.param(30, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_the_law_on_a_few(cells):
    seen: Counter[str] = Counter()
    law_on(cells, 0, seen)
    assert seen["cells"] >= 25 / 30 * cells
    assert_most_are_native(seen)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("chunk", range(1, CHUNKS + 1))
def test_the_law_on_many(chunk):
    seen: Counter[str] = Counter()
    law_on(CELLS, chunk, seen)
    assert seen["cells"] >= 0.9 * CELLS
    assert_most_are_native(seen)


FEW_OF_ALL = {"cat product", "softmax", "amax", "product of blocks"}


@pytest.mark.parametrize(
    "operation", [pytest.param(o, marks=[] if o in FEW_OF_ALL else [pytest.mark.slow]) for o in OPERATIONS]
)
def test_every_operation_alone(operation):
    cell = alone(operation).build(torch.float64, 0)
    calls = Call(1, 1), Call(5, 9, state=True), Call(4, 3, lengths=True, reset=True, state=True), Call(2, 7, order=2)
    for unroller in every_way():
        if unroller.applies(cell) or str(unroller) == "compiled":
            for call in calls:
                if call.order == 1 or is_derived_twice(cell, call):
                    assert differences(cell, call, unroller) == []


def test_every_feature_comes_up():
    found: Counter[str] = Counter()
    cells: list[Program] = []

    @settings(max_examples=CELLS, deadline=None, database=None, phases=[Phase.generate])
    @given(programs())
    def look(program):
        found.update(program.features)
        cells.append(program)

    # Three times as many as the slow test has: a rare operation is in one program of a hundred.
    for start in range(1, 3 * CHUNKS + 1):
        seed(start)(look)()
    assert len({program.source for program in cells}) > 0.6 * len(cells)
    drawn = {feature for feature in found if feature in OPERATORS}
    # test_operators.py has each of them; here many are mixed with everything else.
    assert len(drawn) > 0.7 * len(OPERATORS), sorted(set(OPERATORS) - drawn)
    for feature in drawn:
        del found[feature]
    assert FEATURES - set(found) == set()
    rare = {feature for feature in FEATURES if found[feature] < 0.01 * len(cells)}
    assert len(rare) < 0.1 * len(FEATURES), sorted(rare)
    assert set(found) == FEATURES


def test_a_program_is_a_cell_that_can_be_pasted():
    @settings(max_examples=10, deadline=None, database=None, phases=[Phase.generate])
    @given(programs(), st.integers(0, 99))
    def look(program, number):
        pasted = Program(repr(program), program.features, program.widths).build(torch.float64, number)
        cell = program.build(torch.float64, number)
        assert all(map(torch.equal, pasted.parameters(), cell.parameters()))
        x = torch.randn(3, cell.input_size, dtype=torch.float64)
        ours, theirs = cell(x), pasted(x)
        assert torch.equal(ours[0], theirs[0])
        assert ours[0].shape == (3, cell.output_size)
        assert all(map(torch.equal, ours[1], theirs[1]))

    look()
