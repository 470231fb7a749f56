"""Paths to the tensors of a cell: dotted ones, and those of tensors that are told by which they are."""

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor

from rnnkit_compiler.trace.held import Held

WIDEST = {"mps": torch.float32}
"""The widest numbers of devices that have none of 64 bits."""


def tensor_at(cell: torch.nn.Module, path: str) -> Tensor:
    """Return the parameter, buffer or other tensor of a path; raises KeyError where there is none."""
    if isinstance(path, Held):
        return path.tensor
    *parents, name = path.split(".")
    module = cell
    for parent in parents:
        module = module._modules[parent]  # type: ignore[assignment]
    found = (table.get(name) for table in (module._parameters, module._buffers, vars(module)))
    tensor = next((one for one in found if isinstance(one, Tensor)), None)
    if tensor is None:
        raise KeyError(path)
    return tensor


def own_paths(cell: torch.nn.Module) -> set[str]:
    """Return the paths of all parameters and buffers, tied ones too."""
    return {path for named in (cell.named_parameters, cell.named_buffers) for path, _ in named(remove_duplicate=False)}


def weights_at(cell: torch.nn.Module, paths: Iterable[str]) -> list[Tensor]:
    """Return tensors by their paths; of an attribute that is a float, a tensor of what it is now."""
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
