"""Memory: what a cell keeps from one call to the next, beside its state."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State
from rnnkit.testing.author import Author
from rnnkit.testing.conformance import located


def remembered(cell: Cell, author: Author, p: Any, state: State) -> Iterator[str]:
    """Yield a sentence for each attribute that each step changes, given the same; what is set once is no memory."""
    snapshots = []
    for _ in range(2):
        cell.step(p, state)
        snapshots.append({name: _kept(value) for name, value in vars(cell).items()})
    first, second = snapshots
    for name, value in second.items():
        if not _same(value, first.get(name)):
            sentence = f"step() changes its attribute {name!r} at each call; what it is to remember goes into the state"
            yield located(sentence, author.setting(name))


def _kept(value: Any) -> Any:
    """Return a copy of what could be changed in place."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    return value.copy() if isinstance(value, list | dict | set) else value


def _same(first: Any, second: Any) -> bool:
    """Tell whether two values are equal; of others than numbers, texts and tensors, whether they are the same kind."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.equal(first, second)
    if isinstance(first, int | float | str | tuple | list | set):
        try:
            return bool(first == second) or first != first
        except (RuntimeError, ValueError):  # of tensors inside
            return len(first) == len(second)  # type: ignore[arg-type]
    return type(first) is type(second)
