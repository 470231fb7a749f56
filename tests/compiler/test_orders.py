"""Rows of which some elements are equal: a kernel on a CPU takes those that the loop takes, for that is what it computes with."""

import math

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.core.cell import building

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
    """What an operation makes of the input, with the places; along the first of two axes where `beside` is larger than 1."""

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


@pytest.mark.parametrize("falls", [True, False])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_of_equal_elements_those_are_taken_that_the_loop_takes(operation, falls):
    for count, k in ((2, 1), (4, 2), (5, 5), (17, 3), (40, 20)):
        hold(operation, torch.float64, count, k, falls)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_so_it_is_at_every_size(operation, dtype):
    for count in range(1, 42):
        for k in {1, 2, count // 3, count // 2, count - 1, count} - {0}:
            if k <= count:
                hold(operation, dtype, count, k, falls=bool((count + k) % 2))
    hold(operation, dtype, 64, 1, falls=True)


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_so_it_is_along_an_axis_with_others_beside_it(operation):
    for count, k, beside in ((4, 2, 3), (20, 7, 2)):
        hold(operation, torch.float64, count, k, falls=True, beside=beside)
