"""Functions that look at values to check them, or change shapes in place: written otherwise for a recording."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


def one_hot(indices: Tensor, num_classes: int = -1) -> Tensor:
    """Return zeros, and a one at each index; torch itself looks first whether an index is out of range."""
    if num_classes <= 0:  # as many as the largest index says
        return torch.nn.functional.one_hot(indices, num_classes)
    shape = (*indices.shape, num_classes)
    return indices.new_zeros(shape).scatter(-1, indices.unsqueeze(-1), 1)


def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:
    """Return a quantile along a dimension, between the two elements in order that are next to it."""
    if isinstance(q, Tensor) or dim is None or interpolation != "linear" or out is not None or not 0 <= q <= 1:
        return torch.quantile(input, q, dim, keepdim, interpolation=interpolation, out=out)
    ordered = torch.sort(input, dim=dim, stable=True).values
    place = q * (input.shape[dim] - 1)
    below, above = (ordered.select(dim, k) for k in (math.floor(place), math.ceil(place)))
    last = ordered.select(dim, -1)
    found = torch.where(last.isnan(), last, torch.lerp(below, above, place - math.floor(place)))
    return found.unsqueeze(dim) if keepdim else found


REWRITTEN: dict[Any, Callable[..., Tensor]] = {
    torch.nn.functional.one_hot: one_hot,
    torch.quantile: quantile,
    Tensor.quantile: quantile,
}


class Rewriting(TorchFunctionMode):
    """Has these functions called as they are written here.

    What torch warns of then is said of a line here, not of the caller's; so it is for what cannot be recorded without.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rewrote = False
        """Whether one of them was called."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.rewrote |= func in REWRITTEN
        return REWRITTEN.get(func, func)(*args, **(kwargs or {}))
