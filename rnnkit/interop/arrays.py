"""Arrays of other frameworks: reading them as tensors, and saying which is wrong."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnkit.errors import ShapeError, UsageError


def check_kind(format: str, weights: Any, kind: type, noun: str) -> None:
    """Raise UsageError unless the weights of a cell are a list, or a dict, as the format has it."""
    if not isinstance(weights, kind):
        raise UsageError(f"{format}: the weights of a cell are a {type(weights).__name__}; they must be {noun}")


def check_shape(label: str, tensor: Tensor, *shape: int | None) -> None:
    """Raise ShapeError unless the tensor has this shape, in which None stands for any size."""
    same_rank = tensor.ndim == len(shape)
    if not same_rank or any(wanted not in (None, size) for size, wanted in zip(tensor.shape, shape, strict=True)):
        wanted = ", ".join("any" if size is None else str(size) for size in shape) + "," * (len(shape) == 1)
        raise ShapeError(f"{label} has shape {tuple(tensor.shape)}; it must be ({wanted})")


def to_tensor(label: str, value: Any) -> Tensor:
    """Return an array of any framework as a tensor of the same dtype.

    What is not a tensor is copied by way of numpy, since the memory of others may be read-only.
    """
    if isinstance(value, Tensor):
        return value
    try:
        return torch.from_numpy(np.array(value))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{label} cannot become a tensor: {error}") from error


def take(label: str, value: Any, *shape: int | None) -> Tensor:
    """Return an array of any framework as a tensor, checked to be of `shape`."""
    tensor = to_tensor(label, value)
    check_shape(label, tensor, *shape)
    return tensor


def take_leaf(format: str, params: Any, module: str, name: str, *shape: int | None) -> Tensor:
    """Return the array `name` of a module in a dict of dicts, checked to be of `shape`.

    Raises:
        UsageError: there is none; the message names those that there are.
    """
    leaves: Any = params
    for key in (module, name):
        if not isinstance(leaves, Mapping) or key not in leaves:
            there = ", ".join(map(str, leaves)) if isinstance(leaves, Mapping) else f"a {type(leaves).__name__}"
            place = "" if key == module else f" of {module!r}"
            raise UsageError(f"{format}: {key!r}{place} is missing; in its place: {there or 'nothing'}")
        leaves = leaves[key]
    return take(f"{format}: {name!r} of {module!r}", leaves, *shape)
