"""The law on interpreted kernels: every registered cell, odd cells, axes within a row, random cells; of each kind."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, note, seed
from hypothesis import strategies as st

import rnnkit
from rnnkit_compiler.backends.triton import cost, kernels
from rnnkit_compiler.trace.example import example

from .....slow_cases import slow_but
from ....drawing_cells import NATIVE, DropsOut
from ....odd_cells import EVERY_ODD_CELL
from ....random_cells import OPERATIONS, alone, calls, programs
from ....test_axes import CASES
from ....test_axes import build as in_axes
from ....test_compiled_law import Call, Compiled, build, differences, noise
from ....test_drawing import build as drawing_cell
from ....test_drawing import hold, problem
from ....test_odd_cells import build as built
from ....test_random_cells import drawing, quiet, same_programs  # noqa: F401

pytestmark = pytest.mark.usefixtures("trusted", "poisoned")

CALLS = (
    Call(4, 3),
    Call(5, 3, lengths=True, reset=True, state=True),
    Call(3, 18, reset=True, gradients=False),  # more rows than a program has
)
INNER = {name: {"inner": "gru"} for name in ("learnt_state", "norm", "residual", "variational", "zoneout")}
FEW = {("lstm", "sequence"), ("lstm", "grid"), ("layernorm", "steps"), ("mclstm", "sequence")}


@pytest.fixture
def launched(monkeypatch):
    """Count what kernels run."""
    found = Counter()
    run = kernels.Kernels.run

    def counted(self, launch, kind, chunks):
        found.update([kind])
        run(self, launch, kind, chunks)

    monkeypatch.setattr(kernels.Kernels, "run", counted)
    return found


def triton(kind):
    return Compiled(backend="triton", kernel=kind)


def held(cell, kind, calls=CALLS):
    unroller = triton(kind)
    assert unroller.applies(cell), unroller.refusal(cell)
    return [line for call in calls for line in differences(cell, call, unroller)]


@pytest.mark.parametrize("dtype", [torch.float64, pytest.param(torch.float32, marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=[] if (name, kind) in FEW else [pytest.mark.slow])
        for name in rnnkit.cells
        for kind in cost.KINDS
    ],
)
def test_every_registered_cell(name, kind, dtype, launched):
    cell = build(name, INNER.get(name, {}), 4, 20, dtype)
    if not [*cell.parameters()]:
        cell = cell.double()  # the law asks these for the dtype
    assert held(cell, kind) == []
    assert launched[kind] >= len(CALLS)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", rnnkit.cells)
def test_every_registered_cell_in_low_precision(name, dtype, launched):
    cell = build(name, INNER.get(name, {}), 4, 20, torch.float32).to(dtype)
    calls = CALLS if [*cell.parameters()] else ()
    assert held(cell, "grid", calls) == []
    assert launched["grid"] >= len(calls)


@pytest.mark.slow
@pytest.mark.parametrize("kind", cost.KINDS)
@pytest.mark.parametrize("odd", EVERY_ODD_CELL, ids=lambda odd: odd.__name__)
def test_odd_cells(odd, kind, launched):
    cell = built(odd)
    unroller = triton(kind)
    if Compiled().backend_of(cell) != "cpp":
        pytest.skip("no kernel runs it")
    assert unroller.applies(cell), unroller.refusal(cell)
    assert held(cell, kind) == []
    assert launched[kind]


@pytest.mark.slow
@pytest.mark.parametrize("kind", cost.KINDS)
@pytest.mark.parametrize("name", CASES)
def test_axes_within_a_row(name, kind):
    assert held(in_axes(name), kind) == []


def calls_of_one():
    return Call(1, 1), Call(5, 9, state=True), Call(4, 3, lengths=True, reset=True, state=True)


@pytest.mark.parametrize("operation", slow_but({"cumsum", "softmax in heads", "product of blocks"}, OPERATIONS))
def test_every_operation_alone(operation):
    cell = alone(operation).build(torch.float64, 0)
    if Compiled().backend_of(cell) == "cpp":
        assert held(cell, "sequence", calls_of_one()) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("chunk", range(10))
def test_random_cells(chunk):
    seen = Counter()

    @seed(chunk)
    @drawing(10)
    @given(st.data(), programs(), st.sampled_from((torch.float64, torch.float32)))
    def law(data, program, dtype):
        call = data.draw(calls(program), label="call")
        cell = program.build(dtype, call.seed)
        assume(noise(program.build(torch.float32, call.seed), call) < 1e-3)
        seen["cells"] += 1
        seen["refused"] += Compiled().backend_of(cell) == "cpp" and not triton(None).applies(cell)
        for kind in cost.KINDS:
            if not triton(kind).applies(cell):
                continue
            seen[kind] += 1
            note(f"dtype={dtype}, parameters drawn from {call.seed}, run by {triton(kind)}")
            assert differences(cell, replace(call, order=1), triton(kind)) == []

    law()
    assert seen["refused"] == 0, seen
    assert seen["sequence"] >= 0.8 * seen["cells"], seen


def torch_has(cell):
    """Tell whether torch has all operations of a step in its dtype: quantiles it has in higher precision alone."""
    with torch.no_grad():
        try:
            rnnkit.unrollers["loop"]()(cell, *example(cell))
        except RuntimeError:
            return False
    return True


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("chunk", range(3))
def test_random_cells_in_low_precision(chunk):
    seen = Counter()

    @seed(chunk)
    @drawing(12)
    @given(st.data(), programs(), st.sampled_from((torch.bfloat16, torch.float16)))
    def law(data, program, dtype):
        call = data.draw(calls(program), label="call")
        cell = program.build(torch.float32, call.seed)
        assume(noise(cell, call) < 1e-4)
        cell = cell.to(dtype)
        seen["cells"] += 1
        if torch_has(cell) and triton("sequence").applies(cell):
            seen["run"] += 1
            note(f"dtype={dtype}, parameters drawn from {call.seed}")
            assert differences(cell, replace(call, order=1), triton("sequence")) == []

    law()
    assert seen["run"] >= 0.7 * seen["cells"], seen


@pytest.mark.parametrize("kind", slow_but((DropsOut,), NATIVE), ids=lambda kind: kind.__name__)
def test_steps_that_draw(kind):
    cell = drawing_cell(kind)
    hold(cell, *problem(cell), [triton(None)])
