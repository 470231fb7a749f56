"""The checks: what a layer computes through an unroller, beside the truth."""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from rnnkit.layers.rnn import RNN
from rnnkit.matrix.comparison import Comparison
from rnnkit.matrix.problem import Problem, Tensors
from rnnkit.matrix.truth import DIRECTIONS, Truth
from rnnkit.support.random_states import drawn_apart

DIFFERENCE, ROUNDING = 1e-6, 1e-10
"""How far from a central difference, and from what differs by rounding in float64 alone."""

ULPS, TIMES, MOST = 32.0, 8.0, 4096.0
"""How far float32 may be from float64: so many units in the last place of the largest element, which a few steps of
some dozens of operations stay below; where a cell is steep, so many times what one rounding of all its numbers moves,
for each of four steps forward and back rounds anew; but three digits are left in any case."""

SAMPLES = 2
"""Samples, each a batch with states of its own, over which `vmap` goes."""


Check = Callable[[Problem, Truth, RNN], Iterator[Comparison]]


def first(problem: Problem, truth: Truth, layer: RNN) -> Iterator[Comparison]:
    """Compare outputs and final states, and the scalar's gradient by every tensor with differences by each element."""
    leaves = _leaves(problem, layer)
    results = problem.found(layer, leaves)
    yield from _compared("", results, truth.values, ROUNDING)
    gradients = problem.gradients(problem.scalar(results), leaves)
    yield from _compared("the gradient of ", gradients, truth.gradients, DIFFERENCE)


def second(problem: Problem, truth: Truth, layer: RNN) -> Iterator[Comparison]:
    """Compare the change of every gradient along random directions, by double backward, with differences."""
    leaves = _leaves(problem, layer)
    gradients = problem.gradients(problem.scalar(problem.found(layer, leaves)), leaves, create_graph=True)
    for number in range(DIRECTIONS):
        direction = problem.direction(number)
        along = torch.stack([(gradients[name] * part).sum() for name, part in direction.items()]).sum()
        found = problem.gradients(along, leaves)
        yield from _compared("the second derivative by ", found, truth.curvatures(number), DIFFERENCE)


def vmap(problem: Problem, truth: Truth, layer: RNN) -> Iterator[Comparison]:
    """Compare the gradients of samples by `torch.func.vmap` over `grad` with those of each by itself."""
    batched = [name for name in ("input", *problem.states) if name in problem.wanted]
    samples = [_moved(problem, number, batched) for number in range(SAMPLES)]
    given = {n: torch.stack([s[n] for s in samples]) if n in batched else samples[0][n] for n in problem.wanted}
    others = {name: tensor for name, tensor in problem.tensors.items() if name not in given}

    def scalar(tensors: Tensors) -> Tensor:
        return problem.scalar(problem.found_with(layer, {**others, **tensors}))

    mapped = torch.func.vmap(
        torch.func.grad(scalar), in_dims=({name: 0 if name in batched else None for name in given},), randomness="same"
    )
    found = mapped(given)
    for number, sample in enumerate(samples):
        expected = truth.gradients_at(sample)
        own = {name: found[name][number] for name in expected}
        yield from _compared(f"sample {number}: the gradient of ", own, expected, ROUNDING)


def jvp(problem: Problem, truth: Truth, layer: RNN) -> Iterator[Comparison]:
    """Compare forward mode along a random direction with differences, and with the gradients of backward mode."""
    direction = problem.direction(0)
    given = {name: problem.tensors[name] for name in problem.wanted}
    others = {name: tensor for name, tensor in problem.tensors.items() if name not in given}

    def run(tensors: Tensors) -> Tensors:
        results = problem.found_with(layer, {**others, **tensors})
        return {name: tensor for name, tensor in results.items() if tensor.is_floating_point()}

    results, slopes = torch.func.jvp(run, (given,), (direction,))  # type: ignore[misc]  # as torch words it
    yield from _compared("", results, {name: truth.values[name] for name in results}, ROUNDING)
    yield from _compared("the slope of ", slopes, truth.slopes(0), DIFFERENCE)
    backward = truth.gradients_at(problem.tensors)
    along = torch.stack([(backward[name] * part).sum() for name, part in direction.items()]).sum()
    yield Comparison("the slope of the scalar", problem.scalar(slopes), along, ROUNDING)


def float32(problem: Problem, truth: Truth, layer: RNN) -> Iterator[Comparison]:
    """Compare outputs, final states and gradients in float32 with those of the same numbers in float64."""
    narrow = copy.deepcopy(layer).float()
    leaves = _leaves(problem, narrow, torch.float32)
    results = problem.found(narrow, leaves)
    gradients = problem.gradients(problem.scalar(results), leaves)
    moved = truth.sensitivity
    for label, found, expected in (
        ("", results, truth.values),
        ("the gradient of ", gradients, truth.gradients_at(problem.tensors)),
    ):
        for comparison in _compared(label, found, expected, ULPS):
            steep = TIMES * moved[comparison.component]
            yield comparison._replace(tolerance=min(MOST, max(ULPS, steep)))


CHECK: dict[str, Check] = {"first": first, "second": second, "vmap": vmap, "jvp": jvp, "float32": float32}
"""By name, in the order of `case.CHECKS`."""


@contextmanager
def surroundings(seed: int) -> Iterator[None]:
    """Keep the random state, and torch's own words on what it has made out of date, from whoever asked."""
    with drawn_apart(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".torch.jit.script. is deprecated", DeprecationWarning)
        torch.manual_seed(seed)
        yield


def _leaves(problem: Problem, layer: RNN, dtype: torch.dtype = torch.float64) -> Tensors:
    """Return what is differentiated by: copies of input and states, and the layer's own parameters."""
    leaves = {name: problem.tensors[name].clone() for name in ("input", *problem.states)}
    leaves = {n: t.to(dtype).requires_grad_() if t.is_floating_point() else t for n, t in leaves.items()}
    own = dict(layer.named_parameters())
    return {**leaves, **{key: own[name] for key, name in problem.parameters.items()}}


def _moved(problem: Problem, number: int, names: list[str]) -> Tensors:
    """Return the problem's tensors, for all but the first sample a little elsewhere."""
    if not number:
        return problem.tensors
    direction = problem.direction(number)
    return {name: t + direction[name] / 8 if name in names else t for name, t in problem.tensors.items()}


def _compared(label: str, found: Tensors, expected: Tensors, tolerance: float) -> Iterator[Comparison]:
    for name, tensor in expected.items():
        yield Comparison(f"{label}{name}", found[name].detach(), tensor.detach(), tolerance)
