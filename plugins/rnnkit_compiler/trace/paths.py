"""Dotted paths to the tensors of a module."""

import torch
from torch import Tensor


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
