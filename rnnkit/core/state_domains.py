"""Random states for checks, within the domain that a cell declares for each of its state tensors."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State
from rnnkit.errors import UsageError

DOMAINS: dict[str, Callable[[Tensor], Tensor]] = {
    "real": lambda drawn: drawn,
    "positive": lambda drawn: drawn.exp(),
    "non-negative": lambda drawn: drawn.abs(),
    "unit interval": lambda drawn: drawn.sigmoid(),
}
"""From normally distributed numbers to numbers of each domain."""


def domain_of(cell: Cell, name: str) -> str:
    """Return the domain of a state tensor, "real" unless the cell declares another in `state_domains`.

    Raises:
        UsageError: it declares one that there is not, or one of a state that it has not.
    """
    if not isinstance(cell.state_domains, Mapping):
        raise UsageError(
            f"cell {cell.name!r}: state_domains is {cell.state_domains!r}; it must be a dict, from the name of a state "
            "to its domain"
        )
    domains: dict[str, Any] = dict(cell.state_domains)
    for other, domain in domains.items():
        if other not in cell.state_names:
            raise UsageError(f"cell {cell.name!r}: state_domains has {other!r}; its states are {cell.state_names}")
        if domain not in DOMAINS:
            raise UsageError(
                f"cell {cell.name!r}: state_domains calls {other!r} {domain!r}; it must be one of {', '.join(DOMAINS)}"
            )
    return str(domains.get(name, "real"))


def random_like(cell: Cell, state: State) -> State:
    """Draw a state shaped as another; integers stay as they are."""
    return tuple(_drawn(tensor, domain_of(cell, name)) for name, tensor in zip(cell.state_names, state, strict=True))


def _drawn(tensor: Tensor, domain: str) -> Tensor:
    return DOMAINS[domain](torch.randn_like(tensor)) if _has_numbers(tensor) else tensor.clone()


def _has_numbers(tensor: Tensor) -> bool:
    """Tell real and complex numbers from counters and truth values."""
    return tensor.is_floating_point() or tensor.is_complex()
