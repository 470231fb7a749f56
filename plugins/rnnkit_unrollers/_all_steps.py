"""A cell's step on all steps of a sequence at once, and its Jacobian there.

Rows of a batch are independent of each other, which the recording of a step has shown; so T steps from known states
are one step of T B rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

import rnnkit
from rnnkit import Cell, Projected, State
from rnnkit_compiler.structure.stages import Stage
from rnnkit_unrollers._batched import one_by_one_where_it_must

FEW = 4
"""Products with a Jacobian up to which one after the other is as fast as all in one pass."""

TOGETHER = 1 << 24
"""Numbers of the products that are computed in one pass, at most: they are held at once."""


@dataclass(frozen=True)
class Inputs:
    """What a call depends on: the tensors that autograd may follow."""

    parts: State
    """What `project` returned, flat, each (T, B, ...)."""

    state: State
    """Before the first step, each (B, ...)."""

    initial: State
    """Where rows start again from, each (B, ...); empty if none does."""

    weights: State
    """Parameters and buffers, tied ones once."""

    @property
    def tensors(self) -> State:
        """All of them, in order."""
        return (*self.parts, *self.state, *self.initial, *self.weights)

    def like(self, tensors: Sequence[Tensor]) -> "Inputs":
        """Return others in their places."""
        left = iter(tensors)
        groups = (self.parts, self.state, self.initial, self.weights)
        return Inputs(*(tuple(next(left) for _ in group) for group in groups))


@dataclass(frozen=True)
class AllSteps:
    """A cell over a sequence of T steps and B rows."""

    cell: Cell
    form: Projected
    """What `project` returned: how its parts are nested."""

    restart: Tensor | None
    """(T, B) booleans: the row starts again at this step."""

    places: Mapping[str, int]
    """Where each parameter and buffer stands among the weights."""

    def holding(self, inputs: Inputs) -> "AllSteps":
        """Return the same with other weights, in a copy of the cell: other threads may be running the cell itself."""
        weights = {name: inputs.weights[place] for name, place in self.places.items()}
        return replace(self, cell=rnnkit.copy_with_tensors(self.cell, weights))

    def __call__(self, inputs: Inputs, before: State) -> tuple[Tensor, State]:
        """Return the outputs (T, B, O) and new states (T, B, ...) of all steps, given the states before each."""
        size = before[0].shape[:2]
        start = [tensor.flatten(0, 1) for tensor in self._restarted(inputs, before)]
        y, new = self.cell.step(self._nested([part.flatten(0, 1) for part in inputs.parts]), tuple(start))
        return y.reshape(*size, *y.shape[1:]), tuple(tensor.reshape(*size, *tensor.shape[1:]) for tensor in new)

    def in_turn(self, inputs: Inputs) -> tuple[Tensor, State]:
        """Return the same from the first state alone, one step after the other."""
        state, ys, states = inputs.state, [], []
        for t, slices in enumerate(zip(*(part.unbind(0) for part in inputs.parts), strict=True)):
            if self.restart is not None:
                state = rnnkit.choose_rows(self.restart[t], inputs.initial, state)
            y, state = self.cell.step(self._nested(slices), state)
            ys.append(y)
            states.append(state)
        return torch.stack(ys), tuple(map(torch.stack, zip(*states, strict=True)))

    def _restarted(self, inputs: Inputs, before: State) -> Iterator[Tensor]:
        if self.restart is None:
            yield from before
            return
        for given, tensor in zip(inputs.initial, before, strict=True):
            yield torch.where(self.restart.view(*self.restart.shape, *[1] * (tensor.ndim - 2)), given, tensor)

    def _nested(self, parts: Sequence[Tensor]) -> Projected:
        left = iter(parts)
        return rnnkit.map_parts(lambda _: next(left), self.form)


def states_before(first: Sequence[Tensor], after: Sequence[Tensor]) -> State:
    """Return the states before all steps (T, B, ...), from the first (B, ...) and those after all steps."""
    pairs = zip(first, after, strict=True)
    return tuple(torch.cat([start.unsqueeze(0), states[:-1]]) for start, states in pairs)


def joined(tensors: Sequence[Tensor]) -> Tensor:
    """Join the features of tensors (T, B, ...) in a row: (T, B, N)."""
    return torch.cat([tensor.flatten(2) for tensor in tensors], dim=2) if len(tensors) > 1 else tensors[0].flatten(2)


def parted(row: Tensor, like: Sequence[Tensor]) -> State:
    """Take a row of features apart again, into the shapes of these tensors."""
    pieces = row.split_with_sizes([tensor[0, 0].numel() for tensor in like], dim=2)
    return tuple(piece.reshape(tensor.shape) for piece, tensor in zip(pieces, like, strict=True))


def in_blocks(row: Tensor, stage: Stage) -> Tensor:
    """Bring features (T, B, N) into a stage's blocks: (T, B, count, size), or as they are where each is by itself."""
    return row if stage.blocks.shape[1] == 1 else row[..., stage.blocks.to(row.device)]


def in_a_row(blocks: Tensor, stage: Stage) -> Tensor:
    """Undo `in_blocks`."""
    if stage.blocks.shape[1] == 1:
        return blocks
    order = stage.blocks.flatten().argsort().to(blocks.device)
    return blocks.flatten(2)[..., order]


def coefficients(stage: Stage, new: Sequence[Tensor], before: Sequence[Tensor], create_graph: bool) -> Tensor:
    """Return the Jacobian of a stage's new states by those before, of all steps.

    As many products with it as its blocks are wide: in each, one element of every block.

    Args:
        stage: whose blocks are looked at.
        new: its new states, each (T, B, ...), made of `before` with a graph.
        before: its states before the steps.
        create_graph: whether the Jacobian is to be differentiated.

    Returns:
        Numbers (T, B, N) where it is diagonal, else blocks (T, B, count, size, size).
    """
    total = joined(new)
    seeds = torch.zeros(len(stage.blocks.T), total.shape[2], dtype=total.dtype, device=total.device)
    seeds.scatter_(1, stage.blocks.T.to(total.device), 1)
    rows: list[Tensor] = []
    at_once = max(1, TOGETHER // max(1, total.numel()))
    for first in range(0, len(seeds), at_once):
        rows += _rows(total, list(before), seeds[first : first + at_once], create_graph)
    blocks = [in_blocks(row, stage) for row in rows]
    return blocks[0] if len(blocks) == 1 else torch.stack(blocks, dim=-2)


def _rows(total: Tensor, before: list[Tensor], seeds: Tensor, create_graph: bool) -> Iterator[Tensor]:
    """Yield the product of each seed (N,) with the Jacobians of all steps, (T, B, N); several in one pass."""
    if not total.requires_grad:  # cut off from the states before
        yield from torch.zeros(len(seeds), *total.shape, dtype=total.dtype, device=total.device)
        return
    several = len(seeds) > FEW
    options = {"retain_graph": True, "create_graph": create_graph, "allow_unused": True}
    if several:
        spread = seeds.view(len(seeds), 1, 1, -1).expand(-1, *total.shape)
        with one_by_one_where_it_must():
            found = torch.autograd.grad(total, before, spread, is_grads_batched=True, **options)
        rows = [b.new_zeros(len(seeds), *b.shape) if f is None else f for f, b in zip(found, before, strict=True)]
        yield from map(joined, zip(*(tensor.unbind(0) for tensor in rows), strict=True))
        return
    for seed in seeds:
        yield joined(torch.autograd.grad(total, before, seed.expand_as(total), materialize_grads=True, **options))
