"""Float32: as near to the float64 loop's results as the float32 loop, in the root mean square over seeds.

A single number is by chance nearer or farther; over seeds and elements chance averages out, and what is left is how the
sums are made: one long chain of additions is rounded more than several short ones.
"""

import copy
from collections import defaultdict

import pytest
import torch
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import register_parametrization

import rnnkit

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]

MOST = 1.4
"""Times the loop's error: about 1.1, and what chance leaves of it over the seeds of a test."""


class Scaled(rnnkit.Cell):
    """Each row's gain by one number, whose gradient is a sum over rows and steps."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.linear = torch.nn.Linear(input_size + hidden_size, hidden_size)
        self.gain, self.slope = torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1))

    def step(self, x, state):
        (h,) = state
        gate = torch.sigmoid(self.slope * h.mean(1, keepdim=True) + self.gain)
        h = gate * torch.tanh(self.linear(torch.cat([x, h], 1)))
        return h, (h,)


class Skew(torch.nn.Module):
    def forward(self, matrix):
        return matrix.triu(1) - matrix.triu(1).mT


class Exponential(torch.nn.Module):
    def forward(self, matrix):
        return torch.matrix_exp(matrix)


class Rotated(rnnkit.Cell):
    """A recurrent weight that is the exponential of a skew-symmetric matrix."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.input = torch.nn.Linear(input_size, hidden_size)
        self.recurrent = torch.nn.Linear(hidden_size, hidden_size, bias=False)
        self.constrain()

    def constrain(self):
        for transform in (Skew(), Exponential()):
            register_parametrization(self.recurrent, "weight", transform)

    def step(self, x, state):
        (h,) = state
        h = torch.nn.functional.leaky_relu(self.recurrent(h) + self.input(x), 0.1)
        return h, (h,)


class Orthogonal(Rotated):
    def constrain(self):
        parametrizations.orthogonal(self.recurrent, orthogonal_map="matrix_exp", use_trivialization=False)


class Attending(rnnkit.Cell):
    """A few steps of attention to memories, each by softmax, with a temperature."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.memory = torch.nn.Parameter(torch.randn(10, hidden_size))
        self.input = torch.nn.Linear(input_size, hidden_size)
        self.temperature = torch.nn.Parameter(torch.tensor(1.0))

    def step(self, x, state):
        (h,) = state
        h = h + self.input(x)
        for _ in range(2):
            h = torch.softmax(self.temperature * h @ self.memory.t(), 1) @ self.memory
        return h, (h,)


def results(unroller, cell, xs, weights):
    """Return outputs and gradients by name."""
    xs = xs.clone().requires_grad_()
    ys, _ = unroller(cell, xs)
    wanted = {"x": xs, **dict(cell.named_parameters())}
    grads = torch.autograd.grad((ys * weights).sum(), list(wanted.values()))
    return {"y": ys.detach(), **dict(zip(wanted, grads, strict=True))}


def squared_errors(make, shape, seeds):
    """Return the mean squared errors of each result by name, (seeds, 2): of the compiled cell, and of the loop.

    Args:
        make: makes a cell.
        shape: of its input (T, B, D).
        seeds: how many.
    """
    squares = defaultdict(list)
    for seed in range(seeds):
        torch.manual_seed(seed)
        cell, xs = make(), torch.randn(shape)
        weights = torch.randn(*shape[:2], cell.output_size)
        truth = results(Loop(), copy.deepcopy(cell).double(), xs.double(), weights.double())
        found = [results(unroller, copy.deepcopy(cell), xs, weights) for unroller in (Compiled(), Loop())]
        for name, exact in truth.items():
            errors = torch.stack([(each[name] - exact).square().mean() for each in found])
            # to be nearer than a third of the last place is luck
            squares[name].append(errors.clamp(min=exact.square().mean() * (torch.finfo(torch.float32).eps / 3) ** 2))
    return {name: torch.stack(each) for name, each in squares.items()}


def ratios(make, shape, seeds):
    """Return the root mean squares over seeds of the errors, relative to the loop's."""
    squares = {name: each.sum(0) for name, each in squared_errors(make, shape, seeds).items()}
    return {name: float((ours / loop).sqrt()) for name, (ours, loop) in squares.items()}


def mean_ratios(make, shape, seeds):
    """Return the geometric means over seeds of the errors' ratios, which a single seed of wild errors does not sway."""
    return {
        name: float((each[:, 0] / each[:, 1]).log().mean().div(2).exp())
        for name, each in squared_errors(make, shape, seeds).items()
    }


def above(most, found):
    return {name: round(ratio, 2) for name, ratio in found.items() if ratio > most}


REGISTERED = [
    ("rnn", (100, 32, 8), 16),
    ("lstm", (100, 4, 8), 16),
    ("gru", (20, 256, 8), 16),
    ("peephole", (6, 512, 8), 16),
]


@pytest.mark.parametrize(("name", "shape", "width"), REGISTERED)
def test_sums_over_rows_and_steps_err_as_the_loop_s(name, shape, width):
    assert above(MOST, ratios(lambda: rnnkit.cells[name](shape[-1], width), shape, seeds=8)) == {}


def test_sums_of_one_number_a_row_err_as_the_loop_s():
    assert above(MOST, ratios(lambda: Scaled(4, 8), (40, 128, 4), seeds=16)) == {}


@pytest.mark.parametrize("kind", [Rotated, Orthogonal])
def test_the_gradient_through_an_exponential_errs_as_the_loop_s(kind):
    assert above(MOST, ratios(lambda: kind(5, 7), (12, 5, 5), seeds=12)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(12, 5, 6), (60, 32, 6)])
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "peephole", "layernorm"])
def test_registered_cells_err_as_the_loop(name, shape):
    assert above(MOST, ratios(lambda: rnnkit.cells[name](shape[-1], 8), shape, seeds=24)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Rotated, Orthogonal])
def test_exponentials_err_as_the_loop_s_over_many_seeds(kind):
    assert above(MOST, ratios(lambda: kind(5, 8), (12, 5, 5), seeds=48)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Scaled, Attending])
def test_cells_that_magnify_errors_err_as_the_loop_on_average(kind):
    found = mean_ratios(lambda: kind(5, 8), (12, 5, 5), seeds=64)
    assert above(MOST, {name: found[name] for name in found.keys() & {"y", "x", "memory", "linear.weight"}}) == {}
