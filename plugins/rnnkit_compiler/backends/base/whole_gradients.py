"""Gradients of whole tensors, from those of what the steps read of them: columns, rows, expanded vectors."""

from math import prod

import torch
from torch import Tensor

from rnnkit_compiler.ir.lowered import Hoisted, Invariant


def with_columns(total: Tensor | None, grad: Tensor, hoisted: Hoisted, part: Tensor) -> Tensor:
    """Return the gradient of a part with that of the columns added that a product of the input alone reads."""
    width = prod(part.shape[2:])
    if total is None and hoisted.width == width:
        return grad
    # what comes in may be the gradient of something else as well
    total = grad.new_zeros(*part.shape[:2], width) if total is None else total.clone()
    total[..., hoisted.offset : hoisted.offset + hoisted.width] += grad
    return total


def with_matrix(total: Tensor | None, grad: Tensor, invariant: Invariant, tensor: Tensor) -> Tensor:
    """Return the gradient of a tensor with that of a matrix added, which is a part of it, or the transpose.

    Args:
        total: of what else it is made of, which is written over; None: of nothing.
        grad: (N, K) of the matrix (K, N).
        invariant: which part it is.
        tensor: whose gradient it is.
    """
    grad_t = grad if invariant.transposed else grad.t()
    if grad_t.numel() == tensor.numel():
        return grad_t.reshape(tensor.shape) if total is None else total.add_(grad_t.reshape(tensor.shape))
    whole = torch.zeros_like(tensor, memory_format=torch.contiguous_format) if total is None else total
    flat = whole.unsqueeze(0 if invariant.transposed else 1) if whole.ndim == 1 else _matrix_in(whole, invariant)
    (flat.t() if invariant.transposed else flat)[invariant.offset : invariant.offset + invariant.shape[0]] += grad.t()
    return whole


def _matrix_in(tensor: Tensor, invariant: Invariant) -> Tensor:
    """Return the matrix that a tensor is, or the one of a stack of them."""
    stack = tensor.view(-1, *tensor.shape[-2:])
    return stack[invariant.block or 0]


def of_unexpanded(grad: Tensor, invariant: Invariant, tensor: Tensor) -> Tensor:
    """Return the gradient of the tensor that was expanded and made flat."""
    if grad.numel() == tensor.numel():
        return grad.reshape(tensor.shape)
    return grad.reshape(invariant.shape).sum_to_size(tensor.shape)
