"""Rows of which some elements are equal: a kernel on a CPU takes those that the loop takes."""

import math

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.core.cell import building

from ..slow_cases import slow_but

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]

OPERATIONS = {
    "topk": lambda z, k, falls: z.topk(k, 1, largest=falls),
    "topk in any order": lambda z, k, falls: z.topk(k, 1, largest=falls, sorted=False),
    "kthvalue": lambda z, k, falls: z.kthvalue(k, 1, keepdim=True),
    "median": lambda z, k, falls: z.median(1, keepdim=True),
    "sort": lambda z, k, falls: z.sort(1, descending=falls),
    "stable sort": lambda z, k, falls: z.sort(dim=1, descending=falls, stable=True),
}


class Ordered(rnnkit.Cell):
    """What an operation makes of the input, with the places; along the first axis of two, `beside` being the other."""

    def __init__(self, size, hidden, operation, k, falls, beside):
        super().__init__(size, hidden)
        self.operation, self.k, self.falls, self.beside = operation, k, falls, beside

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, self.input_size, dtype=torch.get_default_dtype()),)

    def step(self, p, state):
        (zero,) = state
        z = (p + zero).view(p.shape[0], -1, self.beside)
        values, places = OPERATIONS[self.operation](z, self.k, self.falls)
        return torch.cat([values, places.to(p.dtype)], 1).flatten(1), (zero,)


def rows(steps, batch, width, dtype):
    """Return rows of few numbers, in half of them infinities and NaN."""
    draw = torch.Generator().manual_seed(width)
    xs = torch.randint(0, 3, (steps, batch, width), generator=draw).to(dtype)
    for share, number in ((0.1, math.nan), (0.1, math.inf), (0.1, -math.inf)):
        some = torch.rand(xs.shape, generator=draw) < share
        xs[:, ::2] = torch.where(some, number, xs)[:, ::2]
    return xs


def found_by(unroller, cell, xs):
    """Return what comes out, and the gradient by the input, which shows what was chosen."""
    xs = xs.clone().requires_grad_()
    (ys, _) = unroller(cell, xs)
    weights = torch.arange(1.0, 1 + ys.shape[2], dtype=ys.dtype)
    return ys, *torch.autograd.grad((ys * weights).sum(), xs)


def hold(operation, dtype, count, k, falls, beside=1):
    with building(None, dtype):
        cell = Ordered(count * beside, 1, operation, k, falls, beside)
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    xs = rows(20, 30, count * beside, dtype)
    for found, expected in zip(*(found_by(unroller, cell, xs) for unroller in (Compiled(), Loop())), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("operation", slow_but(["topk", "kthvalue", "sort"], OPERATIONS))
def test_of_equal_elements_those_are_taken_that_the_loop_takes(operation):
    for count, k in ((2, 1), (4, 2), (5, 5), (17, 3), (40, 20), (64, 1)):
        hold(operation, torch.float64, count, k, falls=True)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_so_it_is_at_every_size(operation, dtype):
    for count in (*range(1, 42), 64):
        for k in sorted({1, 2, count // 3, count // 2, count - 1, count} & {*range(1, count + 1)}):
            hold(operation, dtype, count, k, falls=bool((count + k) % 2))


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_so_it_is_along_an_axis_with_others_beside_it(operation):
    for count, k, beside in ((4, 2, 3), (20, 7, 2)):
        hold(operation, torch.float64, count, k, falls=True, beside=beside)


class Mechanisms(rnnkit.Cell):
    """Recurrent independent mechanisms: the blocks whose attention is best run, those that never ran are still zero."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.query, self.key = nn.Linear(hidden_size // 6, 5), nn.Linear(input_size, 5)
        self.weight = nn.Parameter(torch.randn(6, hidden_size // 6, hidden_size // 6))
        self.read = nn.Linear(input_size, hidden_size)

    def step(self, x, state):
        (h,) = state
        blocks = h.view(h.shape[0], 6, -1)
        scores = (self.query(blocks) * self.key(x).unsqueeze(1)).sum(2)
        best, which = scores.topk(2, 1)
        active = torch.zeros_like(scores).scatter(1, which, torch.sigmoid(best)).unsqueeze(2)
        new = torch.tanh(torch.einsum("bnd,nde->bne", blocks, self.weight) + self.read(x).view_as(blocks))
        h = (active * new + (1 - active) * blocks).flatten(1)
        return h, (h,)


@pytest.mark.parametrize("dtype", [torch.float64, pytest.param(torch.float32, marks=pytest.mark.slow)])
def test_blocks_that_have_not_run_yet_are_equal(dtype):
    torch.manual_seed(0)
    with building(None, dtype):
        cell = Mechanisms(4, 18)
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    xs = torch.randn(8, 5, 4, dtype=dtype)
    close = {} if dtype == torch.float32 else {"rtol": 1e-10, "atol": 1e-10}
    results = []
    for unroller in (Compiled(), Loop()):
        given = [xs.clone().requires_grad_(), *cell.parameters()]
        with building(None, dtype):
            ys, (last,) = unroller(cell, given[0], lengths=torch.tensor([8, 3, 1, 5, 8]))
        results.append([ys, last, *torch.autograd.grad(ys.sin().sum() + last.sum(), given)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, **close)
