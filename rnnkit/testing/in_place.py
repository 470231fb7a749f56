"""Purity: what a cell overwrites, it must not."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State, parts_of, time_slice
from rnnkit.testing import culprits
from rnnkit.testing.author import Author
from rnnkit.testing.conformance import located


def writes_in_place(cell: Cell, xs: Tensor, state: State) -> list[str]:
    """Run one step and tell what it overwrote, a sentence each: input, projection, state, parameters or buffers."""
    with torch.no_grad():
        xs, state = xs.clone(), tuple(tensor.clone() for tensor in state)
        watched = {"its input": xs}
        watched |= {f"parameter {name!r}": tensor for name, tensor in cell.named_parameters()}
        watched |= {f"buffer {name!r}": tensor for name, tensor in cell.named_buffers()}
        author, projected = Author.of(cell), cell.project(xs.clone())
        sentences = _overwritten(author, "project()", watched, partial(cell.project, xs))
        p = time_slice(projected, 0)
        parts = parts_of(p)
        watched |= {f"its state {name!r}": tensor for name, tensor in zip(cell.state_names, state, strict=True)}
        watched |= {"p, its slice of the projection": parts[0]}
        watched |= {f"p[{k}], its slice of the projection": part for k, part in enumerate(parts[1:], 1)}
        sentences += _overwritten(author, "step()", watched, partial(cell.step, p, state))
    return [f"cell {cell.name!r}: {sentence}" for sentence in sentences]


def _overwritten(author: Author, method: str, watched: dict[str, Tensor], run: Callable[[], Any]) -> list[str]:
    """Run a method; return a sentence for each of the watched tensors that it overwrites, and put that back."""
    before = {name: (tensor.clone(), tensor._version) for name, tensor in watched.items()}
    run()
    changed = [name for name, tensor in watched.items() if culprits.is_written(tensor, *before[name])]
    sentences = []
    for name in changed:
        for other in changed:
            watched[other].copy_(before[other][0])
        place = culprits.writing(author, run, watched[name]) or author.definition(method.removesuffix("()"))
        sentences.append(located(f"{method} writes in place on {name}; compute a new tensor instead", place))
    for other in changed:
        watched[other].copy_(before[other][0])
    return sentences
