"""Aten's operators in a step: the page says what runs each, and whatever runs it gives the loop's numbers."""

import contextlib
import warnings
from functools import cache

import pytest
import torch
from operators import PAGE, UNITS, WHERE, Answer, Row, Tried, answer, group_of, page, rows, with_derivatives

import rnnkit

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]
ROWS = list(rows())
BESIDE_INFINITIES = {
    "renorm": "where a row is not scaled, its norm still takes part in the derivative",
    **dict.fromkeys(
        ("upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d"),
        "units that have no weight are left out, where torch multiplies them by 0",
    ),
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv3d", "convolution", "_convolution"),
        "a product with a matrix, in which units beyond a window are multiplied by 0",
    ),
    "linalg_vander": "torch divides by infinity on the way back, where a kernel divides by nothing",
    **dict.fromkeys(
        (row.name for row in ROWS if row.kind == "fourier"), "a product adds up in another order than a fast transform"
    ),
    **dict.fromkeys(
        (row.name for row in ROWS if row.kind == "matrices"),
        "what is eliminated in another order is no number elsewhere",
    ),
}
"""Operators whose numbers beside NaN and infinities are others than the loop's, and why."""

TOGETHER = 8
"""Operators that are tried in one cell, so that one kernel is compiled for them."""

FAST = "cumprod"
"""Is tried, with those beside it, in `make test`."""

CHUNKS = [ROWS[start : start + TOGETHER] for start in range(0, len(ROWS), TOGETHER)]


@pytest.fixture(autouse=True)
def quiet():
    """Let torch say of its own operators what it likes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@cache
def written():
    """Return what the page says of each operator."""
    cells = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return {name.strip("| `"): (runs, reason.rstrip(" |")) for name, *_, runs, reason in cells}


def test_every_operator_with_a_derivative_has_a_row_or_a_reason():
    names = {row.name for row in ROWS}
    assert len(names) == len(ROWS)
    assert names <= with_derivatives()
    assert sorted(name for name in with_derivatives() - names if not group_of(name)) == []
    assert sorted(written()) == sorted(names)


@pytest.mark.parametrize("row", ROWS[::16], ids=lambda row: row.name)
def test_a_row_is_what_the_page_says(row):
    result = answer(row)
    assert written()[row.name] == (WHERE[result.backend], result.reason)


@pytest.mark.slow
def test_the_page_is_what_the_tool_writes():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it again: python tools/operators.py"


def test_nine_in_ten_are_native():
    native = [runs for runs, _ in written().values() if runs == "native"]
    assert len(native) >= 0.9 * len(ROWS)
    assert all(reason for runs, reason in written().values() if runs != "native")


def numbers(cell, kind):
    """Return an input (T, 3, D) and a state: any numbers, zeros where operators have kinks, or NaN and infinities."""
    torch.manual_seed(0)
    xs, h = (
        torch.randn(2, 3, cell.input_size, dtype=torch.float64),
        torch.randn(3, cell.input_size, dtype=torch.float64),
    )
    if kind == "ties":
        xs[0], h = xs[0].round(), torch.zeros_like(h)
        xs[0, 0] = 0
    elif kind == "edges":
        edges = torch.tensor([torch.nan, torch.inf, -torch.inf]).repeat_interleave(2).repeat(len(cell.tried))
        xs[0, 0, ::2], h[1, ::2] = edges[::2], edges[::2].double()
        xs[0, 2], h[2] = -0.0, 0.0
    return xs, h


def results(unroller, cell, xs, h, order):
    """Return for each row the output and the gradients of the units that it reads; for all rows, of the parameters."""
    leaves = [xs.clone().requires_grad_(), h.clone().requires_grad_(), *cell.parameters()]
    ys, (last,) = unroller(cell, leaves[0], (leaves[1],))
    of = torch.autograd.grad(weighed(ys) + weighed(last), leaves, create_graph=order == 2, materialize_grads=True)
    if order == 2:
        total = sum(weighed(g) for g in of if g.requires_grad)
        of = torch.autograd.grad(total, leaves, materialize_grads=True)
    found = {"parameters": [g.detach() for g in of[2:]]}
    pieces = zip(*(g.detach().split(UNITS, -1) for g in of[:2]), ys.detach().split(cell.widths(), 2), strict=True)
    return found | {row.name: list(piece) for row, piece in zip(cell.tried, pieces, strict=True)}


def weighed(tensor):
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return (real * torch.arange(real.numel(), dtype=real.dtype).cos().view_as(real)).sum()


def strays(cell, unroller, kind, order=1):
    """Return the names of operators whose numbers are not the loop's."""
    xs, h = numbers(cell, kind)
    expected, found = (results(one, cell, xs, h, order) for one in (Loop(), unroller))
    names = [name for name in expected if name != "parameters" or kind == "any"]
    return [name for name in names if not all(map(same, found[name], expected[name]))]


def same(found, expected):
    finite = expected[expected.isfinite()].abs()
    scale = max(1.0, float(finite.max()) if finite.numel() else 1.0)
    return torch.allclose(found, expected, rtol=1e-10, atol=1e-10 * scale, equal_nan=True)


def runs_beside_infinities(row):
    """Tell whether torch's operator does: some refuse NaN, on some processors."""
    cell = Tried([row])
    with contextlib.suppress(RuntimeError):
        results(Loop(), cell, *numbers(cell, "edges"), 1)
        return True
    return False


def derived_twice(chunk):
    """Leave out what torch has no second derivative of."""
    kept = []
    for row in chunk:
        cell = Tried([row])
        with contextlib.suppress(RuntimeError):
            results(Loop(), cell, *numbers(cell, "any"), 2)
            kept.append(row)
    return kept


@pytest.mark.parametrize(
    "chunk",
    [pytest.param(chunk, marks=[] if FAST in {row.name for row in chunk} else pytest.mark.slow) for chunk in CHUNKS],
    ids=lambda chunk: chunk[0].name,
)
def test_an_operator_has_the_loops_numbers(chunk):
    native = [row for row in chunk if written()[row.name][0] == "native"]
    recorded = [row for row in chunk if written()[row.name][0] != "loop"]
    for backend, group in (("cpp", native), ("torch", recorded)):
        if not group:
            continue
        cell, unroller = Tried(group), Compiled(backend=backend)
        beside = [row for row in group if runs_beside_infinities(row)]
        for kind in ("any", "ties", "edges"):
            if kind == "edges" and beside != group:
                cell = Tried(beside)
            found = strays(cell, unroller, kind)
            assert [name for name in found if kind != "edges" or name not in BESIDE_INFINITIES] == [], (backend, kind)
        again = derived_twice(group)
        if again:
            assert strays(Tried(again), unroller, "any", order=2) == [], (backend, "twice")


def test_an_answer_has_a_reason_unless_it_is_native():
    assert answer(ROWS[0]) == Answer("cpp", "")
    assert answer(Row("reductions", "real", "mode", "a.mode(1).values")).reason
