"""Purity: what a cell overwrites, it must not."""

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State, parts_of, time_slice


def writes_in_place(cell: Cell, xs: Tensor, state: State) -> list[str]:
    """Run one step and tell what it overwrote, a sentence each: input, projection, state or parameters."""
    with torch.no_grad():
        xs, state = xs.clone(), tuple(tensor.clone() for tensor in state)
        own = {**dict(cell.named_parameters()), **dict(cell.named_buffers())}
        watched = {"its input": xs, **{f"parameter {name!r}": tensor for name, tensor in own.items()}}
        before = _copies(watched)
        projected = cell.project(xs)
        sentences = [f"project() writes in place on {name}" for name in _changed(watched, before)]
        p = time_slice(projected, 0)
        parts = parts_of(p)
        watched |= {f"its state {name!r}": tensor for name, tensor in zip(cell.state_names, state, strict=True)}
        watched |= {"p, its slice of the projection": parts[0]}
        watched |= {f"p[{k}], its slice of the projection": part for k, part in enumerate(parts[1:], 1)}
        before = _copies(watched)
        cell.step(p, state)
        sentences += [f"step() writes in place on {name}" for name in _changed(watched, before)]
    return [f"cell {cell.name!r}: {sentence}; compute a new tensor instead" for sentence in sentences]


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _changed(tensors: dict[str, Tensor], before: dict[str, Tensor]) -> list[str]:
    return [name for name, tensor in tensors.items() if not torch.equal(tensor, before[name])]
