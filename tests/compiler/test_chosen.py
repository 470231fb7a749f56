"""Units that numbers choose, in a kernel as in the loop; what torch refuses is refused as ever."""

import math

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.core.cell import building

from ..slow_cases import slow_but
from .chosen_cells import EVERY_CHOOSING_CELL, Chooses, Counts, HardAttention, Ring, Small, Tabled

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]


def build(kind):
    torch.manual_seed(0)
    with building(None, torch.float64):
        return kind(3, 6)


def derivatives(unroller, cell, masks, order):
    """Return results, gradients, and for the second order the gradients of their squares."""
    torch.manual_seed(1)
    xs = torch.randn(7, 3, 3, dtype=torch.float64, requires_grad=True)
    with building(None, torch.float64):
        ys, last = unroller(cell, xs, None, **masks)
    parts = [torch.view_as_real(t.resolve_conj()) if t.is_complex() else t for t in (ys, *last)]
    total = sum(part.sin().sum() for part in parts if part.is_floating_point())
    wanted = [xs, *cell.parameters()]
    grads = torch.autograd.grad(total, wanted, create_graph=order == 2, allow_unused=True)
    if order == 2:
        squares = sum(grad.square().sum() for grad in grads if grad is not None)
        grads += torch.autograd.grad(squares, wanted, allow_unused=True)
    return [*parts, *grads]


MASKS = {
    "plain": {},
    "lengths": {"lengths": torch.tensor([7, 2, 4])},
    "reset": {"reset": torch.rand(7, 3, generator=torch.Generator().manual_seed(0)) < 0.3},
}


@pytest.mark.parametrize("kind", slow_but([HardAttention, Ring], EVERY_CHOOSING_CELL), ids=lambda kind: kind.__name__)
def test_a_kernel_gives_what_the_loop_gives(kind):
    cell = build(kind)
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    for masks in MASKS.values():
        for order in (1, 2):
            found, expected = (derivatives(unroller, cell, masks, order) for unroller in (Compiled(), Loop()))
            assert [tensor is None for tensor in found] == [tensor is None for tensor in expected]
            for one, other in zip(found, expected, strict=True):
                if other is not None:
                    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", EVERY_CHOOSING_CELL, ids=lambda kind: kind.__name__)
@pytest.mark.one_in(3)
def test_the_plan_gives_what_the_loop_gives(kind):
    cell = build(kind)
    found, expected = (derivatives(each, cell, MASKS["reset"], 2) for each in (Compiled(backend="torch"), Loop()))
    for one, other in zip(found, expected, strict=True):
        if other is not None:
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [HardAttention, "topk", "sort", "median"], ids=str)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_ties_and_what_is_no_number(kind, value):
    """By whole numbers: of equal ones the first counts, and a NaN is the largest."""

    class Whole(Chooses):
        def step(self, p, state):
            z = (3 * (p + state[0])).round()
            z = torch.where(z == 2, value, z)
            if kind == "topk":
                h = z.topk(2, 1).values.sum(1, keepdim=True) + 0 * p
            elif kind == "sort":
                h = torch.sort(z, dim=1, descending=True, stable=True).indices.to(p.dtype)
            elif kind == "median":
                h = z.median(1, keepdim=True).values + 0 * p
            else:
                h = z.argmax(1, keepdim=True) + z.argmin(1, keepdim=True) + z.min(1, keepdim=True).indices + 0 * p
            return h, (torch.nan_to_num(h, 0.5, 1, -1) / 10,)

    cell = build(Whole)
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    xs = torch.randn(20, 40, 3, dtype=torch.float64)
    torch.testing.assert_close(Compiled()(cell, xs)[0], Loop()(cell, xs)[0], equal_nan=True)


@pytest.mark.slow
@pytest.mark.parametrize("begin", [-1, 3, 7])
def test_an_index_that_is_out_of_range_is_an_error_as_in_the_loop(begin):
    cell = build(Tabled)
    xs = torch.zeros(2, 1, 3, dtype=torch.float64)
    state = torch.zeros(1, 6, dtype=torch.float64), torch.tensor([begin])
    for unroller in (Loop(), Compiled()):
        with pytest.raises((IndexError, RuntimeError), match=r"out of range|out of bounds"):
            unroller(cell, xs, state)


@pytest.mark.slow
def test_what_is_infinite_in_a_table_stays_in_its_row():
    cell = build(Tabled)
    with torch.no_grad():
        cell.table.weight[1, 2] = -math.inf
    xs = torch.randn(5, 2, 3, dtype=torch.float64)
    found, expected = (unroller(cell, xs)[0] for unroller in (Compiled(), Loop()))
    assert expected.isfinite().all()
    torch.testing.assert_close(found, expected)


class Unbounded(Counts):
    """Its index may be anything, as far as it says."""

    def at(self, z, k):
        return z.gather(1, k.unsqueeze(1))

    def step(self, p, state):
        h, k = state
        h = torch.tanh(self.at(p + self.recur(h), k)) + 0 * p
        return h, (h, k + 1)


def test_an_index_that_may_be_out_of_range_is_native_until_it_is():
    cell = build(Unbounded)
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    within, beyond = (torch.randn(steps, 2, 3, dtype=torch.float64) for steps in (6, 7))
    with building(None, torch.float64):
        torch.testing.assert_close(Compiled()(cell, within)[0], Loop()(cell, within)[0], rtol=1e-10, atol=1e-10)
        for unroller in (Loop(), Compiled()):
            with pytest.raises(RuntimeError, match="out of bounds"):
                unroller(cell, beyond)


@pytest.mark.slow
def test_small_integers_go_as_far_as_they_do():
    class Grows(Small):
        def step(self, p, state):
            h, (_, (_, k)) = state[0], super().step(p, state)
            return h + k.unsqueeze(1), (h, state[1] + 1)

    cell = build(Grows)
    for steps in (100, 300):  # beyond 127 torch's begin again at -128
        xs = torch.zeros(steps, 1, 3, dtype=torch.float64)
        found, expected = (unroller(cell, xs) for unroller in (Compiled(), Loop()))
        assert torch.equal(found[1][1], expected[1][1])
        torch.testing.assert_close(found[0], expected[0])


class ForgetsItsState(Chooses):
    """Has a state, a parameter and an input that no output depends on, in turn."""

    unused = "state"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.lost = nn.Parameter(torch.ones(hidden_size))

    def step(self, p, state):
        (h,) = state
        if self.unused == "input":
            p = p.detach()
        new = torch.tanh(p + self.lost.detach() if self.unused == "state" else h + p)
        return new, (new,)


class ForgetsItsInput(ForgetsItsState):
    unused = "input"


class Rounds(ForgetsItsState):
    """Has results that depend on all, with derivative 0: torch's gradients are zeros then, not missing."""

    def step(self, p, state):
        h = (p + state[0] + self.lost).round()
        return h, (h.sign(),)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", [ForgetsItsState, ForgetsItsInput, Rounds], ids=lambda kind: kind.__name__)
def test_what_no_output_depends_on_has_no_gradient(kind, order):
    cell = build(kind)
    assert Compiled().backend_of(cell) == "cpp"
    missing = []
    for unroller in (Loop(), Compiled()):
        torch.manual_seed(1)
        leaves = [torch.randn(4, 2, 3), torch.randn(2, 6)]
        xs, h = (leaf.double().requires_grad_() for leaf in leaves)
        ys, last = unroller(cell, xs, (h,))
        wanted = [xs, h, *cell.parameters()]
        total = ys.sin().sum() + last[0].sum()
        grads = torch.autograd.grad(total, wanted, create_graph=order == 2, allow_unused=True)
        missing.append([grad is None for grad in grads])
    assert missing[0] == missing[1]
    assert any(missing[0])
    assert not all(missing[0])


class PlaceOfTheRunningMaximum(Chooses):
    def choose(self, z):
        return z + 0.1 * z.cummax(1).indices


def test_where_a_running_extreme_lies_is_left_to_the_plan():
    assert "the places that cummax finds have no counterpart" in Compiled().refusal(build(PlaceOfTheRunningMaximum))
