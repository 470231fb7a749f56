"""Draws: small random batches for a trial, of numbers such as the cell's own steps lead to.

A variance is never negative, a share never above 1: of states that no step leads to, right kernels and torch's
operations may give anything, as roots of negative numbers are. So states come from some steps of torch's operations,
from those of the call on, more of them in some rows than in others. Half of the rows have others, which lie further
apart and tell more, where torch's operations can take them.
"""

from collections.abc import Sequence
from enum import Enum, auto
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.backend import Tensors, Timeline
from rnnkit_compiler.backends.base.comparison import differ
from rnnkit_compiler.backends.triton.trial import BATCH, STEPS, Made, Run, everything, has_numbers, is_low

SEEDS = 1000
"""Between the seeds of two attempts."""

LEADING = 4
"""Steps that lead to the states of a batch, at most."""

FACTORS = (0.5, 1.0)
"""Between these is what parts of the call are multiplied by, where those of a batch are made of them."""

TF32 = 2**-11
"""What a factor of a product is rounded by, at most, beside itself."""


class Others(Enum):
    """What the states of half of the rows are."""

    NORMAL = auto()
    """Normally distributed."""

    SIGNED = auto()
    """The same, with the signs of those that steps lead to."""

    NONE = auto()
    """Such as steps lead to, too."""


class Spread(NamedTuple):
    """Where the numbers of a batch come from."""

    others: Others

    has_normal_parts: bool
    """Whether what is read of the input is normally distributed; else it is made of the call's."""


SPREADS = tuple(Spread(others, has_normal_parts) for has_normal_parts in (True, False) for others in Others)
"""The widest first."""

ATTEMPTS = 4
"""Batches of one spread: where a fraction begins again, or two numbers are equal, a rounding may change anything."""


class Draw(NamedTuple):
    """A batch, and what torch's operations make of it."""

    tensors: Tensors
    timeline: Timeline
    expected: Made

    doubts: int
    """How many results have numbers that are not finite, or move by more than rounding where the batch is rounded."""


def draw(run: Run, tensors: Tensors, seed: int, rounded: bool) -> Draw:
    """Return the widest batch of which torch's operations leave no doubt; if there is none, that with the least.

    Args:
        run: torch's operations.
        tensors: of the call.
        seed: of the numbers that are drawn.
        rounded: whether factors of products are rounded to a lower precision than the dtype's.
    """
    best: Draw | None = None
    for spread, attempt in product(SPREADS, range(ATTEMPTS)):
        try:
            drawn = _tried(run, tensors, seed + SEEDS * attempt, spread, rounded)
        except (RuntimeError, ValueError, IndexError) as error:  # of numbers that an operation does not take
            is_last = (spread, attempt) == (SPREADS[-1], ATTEMPTS - 1)
            if isinstance(error, torch.OutOfMemoryError) or (is_last and best is None):
                raise
            continue
        best = drawn if best is None or drawn.doubts < best.doubts else best
        if not best.doubts:
            break
    assert best is not None
    return best


def _tried(run: Run, tensors: Tensors, seed: int, spread: Spread, rounded: bool) -> Draw:
    """Draw a batch, and have torch's operations run on it twice, the second time rounded a little differently."""
    generator = torch.Generator().manual_seed(seed)
    given, timeline = _Numbers(tensors, spread, generator).batch(run)
    try:
        expected = everything(run, given, timeline)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        _ask_for_what_there_is(run, given, timeline)
        expected = everything(run, given, timeline)
    nearby = everything(run, _rounded(given, rounded, generator), timeline)
    doubtful = (
        not bool(one.isfinite().all()) or differ(other, one, rounded)
        for one, other in zip(expected.all, nearby.all, strict=True)
    )
    return Draw(given, timeline, expected, sum(doubtful))


def _ask_for_what_there_is(run: Run, given: Tensors, timeline: Timeline) -> None:
    """Have no gradient asked of invariants for which torch has none, such as the running mean of a batch norm."""
    differentiable = [tensor for tensor in given.invariants if tensor.requires_grad]
    for tensor in differentiable:
        tensor.requires_grad_(False)
    for tensor in differentiable:
        tensor.requires_grad_(True)
        try:
            everything(run, given, timeline)
        except RuntimeError:
            tensor.requires_grad_(False)


class _Numbers:
    """Draws a batch for the tensors of a call."""

    def __init__(self, tensors: Tensors, spread: Spread, generator: torch.Generator) -> None:
        self._tensors, self._spread, self._generator = tensors, spread, generator
        self._device = tensors.states[0].device

    def batch(self, run: Run) -> tuple[Tensors, Timeline]:
        """Return a batch with rows that end and rows that start again."""
        parts, states = self._parts(STEPS), self._reached(run)
        first, initial = (self._states([one[k] for one in states]) for k in range(2))
        row = torch.arange(BATCH, device=self._device)
        lengths = 1 + row % STEPS
        reset = (row + torch.arange(STEPS, device=self._device).unsqueeze(1)) % 5 == 1
        order = lengths.argsort(descending=True, stable=True)
        given = Tensors(*([*map(_leaf, group)] for group in (parts, first, initial, self._tensors.invariants)))
        return given, Timeline(STEPS, BATCH, lengths, order, reset)

    def _parts(self, steps: int) -> list[Tensor]:
        parts = self._tensors.parts
        if self._spread.has_normal_parts:
            return [self._normal(part, steps, BATCH) for part in parts]
        return [self._near(_repeated(part, steps, BATCH)) for part in parts]

    def _reached(self, run: Run) -> list[tuple[Tensor, Tensor]]:
        """Return for each state two that steps lead to, from those of the call: row by row after one step or more."""
        states: Sequence[Tensor] = [_repeated(state, BATCH) for state in self._tensors.states]
        parts, after = self._parts(LEADING), []
        one_step = Timeline(1, BATCH, None, None, None)
        with torch.no_grad():
            for t in range(LEADING):
                at_t = [part[t : t + 1] for part in parts]
                states = run(Tensors(at_t, states, (), self._tensors.invariants), one_step)[1]
                after.append(states)
        row = torch.arange(BATCH, device=self._device)
        steps = row % LEADING, (row + 2) % LEADING
        stacked = [torch.stack([one[k] for one in after]) for k in range(len(states))]
        return [(tensor[steps[0], row], tensor[steps[1], row.flip(0)]) for tensor in stacked]

    def _states(self, reached: Sequence[Tensor]) -> list[Tensor]:
        """Return states; whole numbers are those of the call, which fit its step."""
        return [self._state(own, like) for own, like in zip(reached, self._tensors.states, strict=True)]

    def _state(self, reached: Tensor, like: Tensor) -> Tensor:
        if not (has_numbers(like) or like.dtype == torch.bool):
            return _repeated(like, BATCH)
        if self._spread.others is Others.NONE:
            return reached
        other = self._normal(like, BATCH)
        if self._spread.others is Others.SIGNED and has_numbers(like):
            other = other.abs() * reached.sgn()
        odd = (torch.arange(BATCH, device=like.device) % 2 == 1).view(BATCH, *(1 for _ in like.shape[1:]))
        return torch.where(odd, reached, other)

    def _normal(self, like: Tensor, *leading: int) -> Tensor:
        """Return normally distributed numbers, or random truth values, of another size in the first dimensions."""
        shape = (*leading, *like.shape[len(leading) :])
        if like.dtype == torch.bool:
            return torch.rand(shape, generator=self._generator, device="cpu").gt(0.5).to(like.device)
        if not has_numbers(like):
            return _repeated(like, *leading)
        kind = torch.complex64 if like.is_complex() else torch.float32
        return torch.randn(shape, generator=self._generator, device="cpu", dtype=kind).to(like.device, like.dtype)

    def _near(self, tensor: Tensor) -> Tensor:
        """Return numbers of the same signs, nearer to zero."""
        if not has_numbers(tensor):
            return tensor
        least, most = FACTORS
        factors = least + (most - least) * torch.rand(tensor.shape, generator=self._generator, device="cpu")
        return tensor.detach() * factors.to(tensor.device, tensor.real.dtype)


def _repeated(tensor: Tensor, *leading: int) -> Tensor:
    """Return a tensor of another size in its first dimensions, by its own numbers again and again."""
    if not tensor.numel():
        return tensor.new_zeros(*leading, *tensor.shape[len(leading) :])
    for axis, size in enumerate(leading):
        tensor = tensor.index_select(axis, torch.arange(size, device=tensor.device) % tensor.shape[axis])
    return tensor


def _rounded(tensors: Tensors, coarsely: bool, generator: torch.Generator) -> Tensors:
    """Return a batch whose numbers are a rounding or some apart from those of another."""

    def moved(tensor: Tensor) -> Tensor:
        if not has_numbers(tensor):
            return tensor
        eps = TF32 if coarsely else torch.finfo(tensor.dtype).eps * (1 if is_low(tensors) else 4)
        by = torch.randn(tensor.shape, generator=generator, device="cpu").to(tensor.device, tensor.real.dtype)
        return _leaf(tensor * (1 + eps * by))

    parts, states, initial = ([*map(moved, group)] for group in tensors[:3])
    return Tensors(parts, states, initial, tensors.invariants)


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_(has_numbers(tensor))
