"""Steps that write what none has read before: kernels run all but the last, which leaves the loop's attributes."""

import copy

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError

from . import writing_cells as cells
from .holding_cells import H
from .test_compiled_law import Compiled
from .test_holding import B, D, build
from .test_odd_cells import assert_same
from .writing_cells import LEFT, NATIVE

T = 9

NARROW = {"autocast": torch.float32, "bfloat16": torch.bfloat16}
"""By how a layer computes in another dtype than its kernel, what its parameters are in."""

UNKNOWN_WHEN_NARROW = (cells.KeepsWhatItReads, cells.DrawsAsWell, cells.DrawsInItsProjection)
"""Torch refuses a mask of another dtype, and draws other numbers in another dtype."""

RESET = torch.tensor([[False, True, False], [True, False, False], [False, False, True]]).repeat(3, 1)


def written(layer):
    """Return all tensors that modules of a layer hold as attributes or buffers."""
    named = [{**vars(module), **module._buffers} for module in layer.cells[0].modules()]
    values = [value for one in named for _, value in sorted(one.items())]
    found = []
    while values:
        value = values.pop(0)
        if isinstance(value, tuple | list):
            values = [*value, *values]
        elif isinstance(value, dict) and "h" in value:
            values = [*value.values(), *values]
        elif isinstance(value, torch.Tensor) and value.is_floating_point():
            found.append(value)
    return found


def outcome(layer, unroller, steps=T, rows=B, **given):
    layer.unroller = unroller
    torch.manual_seed(1)
    xs = torch.randn(steps, rows, D, dtype=torch.float64, requires_grad=True)
    leaves = [xs, *layer.parameters()]
    ys, h = layer(xs, **given)
    kept = written(layer)
    total = ys.square().sum() + h.sum() + sum(one.square().sum() for one in kept)  # a penalty, too
    options = {"allow_unused": True, "materialize_grads": True}
    grads = torch.autograd.grad(total, leaves, create_graph=True, **options)
    again = torch.autograd.grad(grads[0].square().sum(), leaves, **options)
    return [ys, h, *grads, *again, *kept, torch.tensor([float(one.requires_grad) for one in kept])]


@pytest.mark.parametrize("kind", NATIVE)
def test_what_is_written_is_what_the_loop_writes(kind, recorded):
    layer = build(type(kind.__name__, (kind,), {}))
    for steps in (T, T, 2 * T, T, 1, 2, 7, 8, T):
        other = copy.deepcopy(build(kind))
        assert_same(outcome(layer, "compiled", steps), outcome(other, "loop", steps))
    assert Compiled().backend_of(layer.cells[0]) == "cpp"
    assert "the last step: by step() itself" in Compiled().explain(layer.cells[0])
    assert len(recorded) <= 2  # with gradients on plain input, and asked for its backend


@pytest.mark.parametrize("kind", NATIVE)
@pytest.mark.parametrize("way", ["lengths", "reset", "no gradients", "reverse", "stepper", "another batch"])
def test_other_calls(kind, way):
    found = []
    for unroller in ("loop", "compiled" if way == "stepper" else Compiled(backend="cpp")):
        options = {"bidirectional": True} if way == "reverse" else {}
        torch.manual_seed(0)
        layer = rnnkit.RNN(kind, D, H, unroller=unroller, **options).double()
        results = []
        for k in range(4):
            xs = torch.randn(T, B + k * (way == "another batch"), D, dtype=torch.float64, requires_grad=True)
            ends = torch.tensor([T - 1, 2, T] if k % 2 else [T - 2, 2, T - 1])
            given = {"lengths": {"lengths": ends}, "reset": {"reset": RESET.roll(k, 0)}}.get(way, {})
            if way == "stepper":
                step = layer.stepper(B)
                made = [step(x).clone() for x in xs]
            else:
                with torch.set_grad_enabled(way != "no gradients"):
                    made = [*layer(xs, **given)]
            given = [*made, *(one for cell in layer.cells for one in written_by(cell))]
            results += given
            if any(one.requires_grad for one in given):
                total = sum(one.square().sum() for one in given if one.requires_grad)
                results += torch.autograd.grad(total, [xs, *layer.parameters()], allow_unused=True)
        found.append(results)
    assert_same(found[1], found[0])


@pytest.mark.parametrize("kind", [kind for kind in NATIVE if kind not in UNKNOWN_WHEN_NARROW])
@pytest.mark.parametrize("way", NARROW)
def test_calls_in_another_dtype(kind, way):
    """The kernel's numbers are rounded less than the loop's; dtypes are the loop's."""
    found = []
    own = "compiled" if kind in (cells.KeepsWhatWaitsForNoState, cells.ProjectsInParts) else Compiled(backend="cpp")
    for unroller, dtype in (("loop", torch.float64), ("loop", NARROW[way]), (own, NARROW[way])):
        torch.manual_seed(0)
        layer = rnnkit.RNN(kind, D, H, unroller=unroller).to(dtype)
        xs = torch.randn(T, B, D, dtype=torch.float64).to(dtype).requires_grad_()
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=way == "autocast" and dtype is torch.float32):
            ys, h = layer(xs)
        kept = written_by(layer.cells[0])
        total = sum(one.square().sum() for one in (ys, h, *kept))
        leaves = [xs, *layer.parameters()]
        grads = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
        found.append([ys, h, *kept, *grads])
    exact, loop, compiled = found
    assert [one.dtype for one in compiled] == [one.dtype for one in loop]
    for truth, other, ours in zip(exact, loop, compiled, strict=True):
        allowed = 2 * (other.double() - truth).abs().max() + 2.0**-8 * truth.abs().max()
        assert (ours.double() - truth).abs().max() <= allowed


def written_by(cell):
    return written(type("Layer", (), {"cells": [cell]}))


SETTLING = ("AsksByDefault", "ShadowsItsClass", "WritesBesideOnce")
"""In which nothing changes from the second step on, so that the second call has its kernel."""


@pytest.mark.parametrize("kind", LEFT)
def test_what_may_be_read_before_is_the_loops(kind):
    own = {name: vars(kind)[name] for name in ("factor",) if name in vars(kind)}
    kinds = [type(kind.__name__, (kind,), own) for _ in range(2)]
    found = []
    for one, unroller in zip(kinds, ("compiled", "loop"), strict=True):
        cells.beside.clear()
        layer = build(one)
        found.append([])
        for rows in (B, B, 1, B):
            found[-1] += outcome(layer, unroller, rows=rows)
            with torch.no_grad():
                found[-1] += [*layer(torch.ones(T, rows, D, dtype=torch.float64)), *written(layer)]
        if unroller == "compiled" and kind.__name__ not in (*SETTLING, "WritesForOneRow"):
            reason = Compiled().explain(layer.cells[0])
            assert reason.startswith("backend: loop\nstep() "), reason
    assert_same(*found)


@pytest.mark.parametrize("kind", [cells.AsksItsTable, cells.WritesOnTheWayBack])
def test_a_cell_by_itself(kind):
    """A layer has a copy of it stepped, with tables of its own."""
    found, xs = [], torch.linspace(-1, 1, T * B * D, dtype=torch.float64).view(T, B, D)
    for unroller in (Compiled(), rnnkit.unrollers["loop"]()):
        torch.manual_seed(0)
        cell = kind(D, H).double()
        results = []
        for _ in range(3):
            ys, (h,) = unroller(cell, xs)
            results += [ys, h, *torch.autograd.grad(ys.square().sum(), [*cell.parameters()]), cell.seen]
        found.append(results)
    assert_same(*found)


def test_a_cell_of_the_same_class_that_reads_it_is_another():
    kind = type("Switched", (cells.ReadsInBranches,), {})
    writes = build(kind)
    for _ in range(3):
        outcome(writes, "compiled")
    reads, other = build(kind), build(kind)
    for scale in (0.5, 0.7, 0.9, 1.1, 1.3):
        for layer in (reads, other):
            layer.cells[0].reads, layer.cells[0].scale = True, scale
        assert_same(outcome(reads, "compiled"), outcome(other, "loop"))
    for layer in (reads, other):
        layer.cells[0].reads = False
        outcome(layer, layer.unroller)
    assert_same(outcome(reads, "compiled"), outcome(other, "loop"))
    for layer in (reads, other):
        layer.cells[0].reads, layer.cells[0].scale = True, torch.full((H,), 0.4, dtype=torch.float64)
    assert_same(outcome(reads, "compiled"), outcome(other, "loop"))


@pytest.mark.parametrize(
    ("kind", "steps", "casts", "said"),
    [
        (cells.KeepsGates, 2, False, r"step\(\) changes the cell \(gates\), and there are fewer than 8 steps"),
        (cells.ProjectsInParts, T, True, "is to run in another dtype"),
    ],
)
def test_a_backend_that_is_asked_for_says_why_it_cannot(kind, steps, casts, said):
    layer = build(kind).float()
    layer.unroller = Compiled(backend="cpp")
    xs = torch.ones(T, B, D)
    with torch.autocast("cpu", torch.bfloat16, enabled=casts), pytest.raises(UsageError, match=said):
        layer(xs[:steps])
    layer(xs)


def test_those_with_indices_are_recorded_once_for_each_order(recorded):
    layer = build(type("Indexed", (cells.KeepsByIndex,), {}))
    for order in (torch.arange(H), torch.arange(H).flip(0)) * 2:
        other = build(cells.KeepsByIndex)
        for each in (layer, other):
            each.cells[0].order.copy_(order)
        assert_same(outcome(layer, "compiled"), outcome(other, "loop"))
    assert len(recorded) == 2


def test_no_cell_of_a_user_has_another_class():
    layer = build(cells.KeepsInSubmodule)
    outcome(layer, "compiled")
    assert type(layer.cells[0].attention) is cells.Attention


@pytest.mark.parametrize("unroller", ["checkpoint", "newton", "rtrl"])
def test_other_unrollers(unroller):
    layer, other = build(cells.KeepsDetached), build(cells.KeepsDetached)
    xs = torch.randn(T, B, D, dtype=torch.float64)
    layer.unroller = unroller
    assert_same([*layer(xs)], [*other(xs)])
