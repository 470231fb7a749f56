"""Dotted paths to the tensors of a module."""

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor

WIDEST = {"mps": torch.float32}
"""The widest numbers of devices that have none of 64 bits."""


def tensor_at(cell: torch.nn.Module, path: str) -> Tensor:
    """Return the parameter or buffer of a dotted path."""
    *parents, name = path.split(".")
    module = cell
    for parent in parents:
        module = module._modules[parent]  # type: ignore[assignment]
    parameter = module._parameters.get(name)
    tensor = module._buffers[name] if parameter is None else parameter
    assert tensor is not None
    return tensor


def weights_at(cell: torch.nn.Module, paths: Iterable[str]) -> list[Tensor]:
    """Return parameters and buffers by their paths; of an attribute that is a float, a tensor of what it is now."""
    return [_weight_at(cell, path) for path in paths]


def _weight_at(cell: torch.nn.Module, path: str) -> Tensor:
    try:
        return tensor_at(cell, path)
    except KeyError:
        number = number_at(cell, path)
        if number is None:
            raise
        return _made(cell, number)


def number_at(cell: torch.nn.Module, path: str) -> float | None:
    """Return the float of a path; None: there is something else."""
    *parents, name = path.split(".")
    module: torch.nn.Module | None = cell
    for parent in parents:
        module = None if module is None else module._modules.get(parent)
    value = None if module is None else vars(module).get(name)
    return value if type(value) is float else None


def _made(cell: torch.nn.Module, number: float) -> Tensor:
    """Return a tensor that computes as a number does: of no dimension, it leaves others their dtype.

    It is filled where it is: a copy from the CPU would wait for the device, at every call.
    """
    like = next(chain(cell.parameters(), cell.buffers()), None)
    device = torch.device("cpu") if like is None else like.device
    return torch.full((), number, dtype=WIDEST.get(device.type, torch.float64), device=device)
