"""Gates: what a class says of the blocks of its weights, held to what its step does."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State, time_slice
from rnnkit.layers.step_locals import local_tensors
from rnnkit.layers.wrapper import innermost

STACKED = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""Tensors whose rows are blocks, one for each gate."""

OPEN = 30.0
"""What is added to a gate's bias, or taken off, so that it is as good as open or shut."""

KEPT = 0.25
"""How much more of a number of the state, of 1, another gate keeps before it is taken for the forget gate."""


def misnamed_gates(cell: Cell, xs: Tensor, state: State) -> Iterator[str]:
    """Yield a sentence where the `gates` that a cell declares are not the blocks of its weights.

    Args:
        cell: wrapped or not; one that declares no gates has nothing to be held to.
        xs: (T, B, D), of which the first step is taken.
        state: before it.
    """
    inner = innermost(cell)
    names = getattr(inner, "gates", ())
    if not isinstance(names, tuple | list) or not names or not all(isinstance(name, str) for name in names):
        return
    stacked = {n: t for n in STACKED if isinstance(t := getattr(inner, n, None), Tensor)}
    if not stacked:
        yield f"gates names blocks of rows, and there is no {', '.join(STACKED[:-1])} or {STACKED[-1]}; leave it out"
        return
    for name, tensor in stacked.items():
        if tensor.shape[0] != len(names) * cell.hidden_size:
            blocks = f"gates names {len(names)} blocks of {cell.hidden_size} rows"
            yield f"{blocks}; {name} has {tensor.shape[0]} rows in all"
            return
    forget = getattr(inner, "forget_gate", None)
    if isinstance(forget, str) and forget not in names:
        yield f"forget_gate is {forget!r}; gates are {', '.join(map(repr, names))}"
        return
    if "bias_ih" not in stacked:
        if "weight_ih" not in stacked:
            return
        # What is added to every number of a row of weights is added to its product with this input.
        xs = torch.full_like(xs, 1 / cell.input_size)
    for name in names:
        if name not in cell.state_names and _never_moves(cell, name, list(names).index(name), xs, state):
            yield f"{name!r} in step() does not depend on the rows that gates calls {name!r}"
            return
    if isinstance(forget, str):
        kept = [_kept(cell, index, xs, state) for index in range(len(names))]
        most = names[kept.index(max(kept))]
        if max(kept) > kept[list(names).index(forget)] + KEPT:
            yield f"the rows that gates calls {most!r} keep the state where they are open, not those of {forget!r}"


def _never_moves(cell: Cell, name: str, index: int, xs: Tensor, state: State) -> bool:
    """Tell whether a local variable of the step, called as a gate, stays as it is when the gate's bias changes."""
    values: list[Tensor] = []
    for shift in (0.0, 1.0, -OPEN):  # a gate that is open to the full may stay so
        shifted = _shifted(cell, index, shift)
        with torch.no_grad(), local_tensors(shifted) as found:
            shifted.step(time_slice(shifted.project(xs), 0), state)
        if name not in found:
            return False
        values.append(found[name].clone())
    return all(value.shape == values[0].shape and torch.equal(value, values[0]) for value in values[1:])


def _kept(cell: Cell, index: int, xs: Tensor, state: State) -> float:
    """Return how much more of a number of the state goes on by itself where a gate is open than where it is shut.

    None keeps more than all of it: what is beyond goes through a rectifier, or another gate, and is made larger there.
    """
    opened, shut = (_passages(_shifted(cell, index, shift), xs, state) for shift in (OPEN, -OPEN))
    shares = ((min(max(way, 0.0), 1.0) for way in ways) for ways in (opened, shut))
    return max((through - held for through, held in zip(*shares, strict=True)), default=0.0)


def _passages(cell: Cell, xs: Tensor, state: State) -> list[float]:
    """Return the derivative of each number of each state, in the first row, by itself a step ago."""
    before = tuple(tensor[:1].clone().requires_grad_(tensor.is_floating_point()) for tensor in state)
    _, after = cell.step(time_slice(cell.project(xs[:, :1]), 0), before)
    passages: list[float] = []
    for was, now in zip(before, after, strict=True):
        numbers = now.flatten() if was.requires_grad and now.requires_grad else ()
        rows = [torch.autograd.grad(number, was, retain_graph=True, allow_unused=True)[0] for number in numbers]
        passages += [0.0 if row is None else float(row.flatten()[k]) for k, row in enumerate(rows)]
    return passages


def _shifted(cell: Cell, index: int, shift: float) -> Cell:
    """Return a copy of a cell with a number added to one gate's bias, or where it has none to its rows of weight_ih."""
    shifted = copy.deepcopy(cell)
    rows, inner = slice(index * cell.hidden_size, (index + 1) * cell.hidden_size), innermost(shifted)
    bias = getattr(inner, "bias_ih", None)
    with torch.no_grad():
        (inner.weight_ih if bias is None else bias)[rows] += shift  # type: ignore[index,operator]
    return shifted
