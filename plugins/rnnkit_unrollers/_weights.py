"""The tensors of a cell, once each, and what autograd is told of those that the steps do not use."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnkit import Cell


def weights_of(cell: Cell) -> tuple[list[Tensor], dict[str, int]]:
    """Return parameters and buffers, tied ones once, and the place of each among them by name."""
    named = [*cell.named_parameters(remove_duplicate=False), *cell.named_buffers(remove_duplicate=False)]
    weights = list(dict.fromkeys(tensor for _, tensor in named))
    return weights, {name: next(k for k, weight in enumerate(weights) if weight is tensor) for name, tensor in named}


def for_hooks(gradients: Sequence[Tensor | None], tensors: Sequence[Tensor]) -> list[Tensor | None]:
    """Return gradients, zero rather than none of tensors with hooks: autograd would hand these None."""
    return [
        torch.zeros_like(tensor) if gradient is None and tensor.requires_grad and tensor._backward_hooks else gradient
        for gradient, tensor in zip(gradients, tensors, strict=True)
    ]
