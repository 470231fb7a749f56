"""The matrix exponential, with a gradient that is as exact when it is large as when it is small."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

exponential: Callable[[Tensor], Tensor] = torch.ops.aten.linalg_matrix_exp.default


class _Exponential(torch.autograd.Function):
    """Torch's exponential; its gradient in the same way, but of a gradient that comes in about as large as one.

    Torch exponentiates the matrix and the gradient that comes in as one matrix of twice the size, and chooses by the
    magnitude of both how often to halve and square it, so that a large gradient costs digits. The loop hands in that
    of one step at a time; here it is the sum over all steps. By a power of two it is scaled without rounding.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        ctx.save_for_backward(matrix)
        return exponential(matrix)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        adjoint = ctx.saved_tensors[0].mH
        size = adjoint.shape[-1]
        scale = _power_of_two(grad)
        right = torch.cat([grad / scale, adjoint], -2)
        left = torch.cat([adjoint, torch.zeros_like(adjoint)], -2)
        return exponential(torch.cat([left, right], -1))[..., :size, size:] * scale


def _power_of_two(grad: Tensor) -> Tensor:
    """Return the power of two next above the norm of matrices, (..., 1, 1); one where that is zero or not finite."""
    with torch.no_grad():
        norm = grad.abs().sum(-2, keepdim=True).amax(-1, keepdim=True)
        power = torch.ldexp(torch.ones_like(norm), torch.frexp(norm).exponent)
        return torch.where(power.isfinite() & (norm > 0), power, torch.ones_like(power))


def matrix_exp(matrix: Tensor) -> Tensor:
    """Return the exponential of matrices (..., n, n), differentiable as often as one likes."""
    if not (torch.is_grad_enabled() and matrix.requires_grad) or not matrix.numel():
        return exponential(matrix)
    result: Tensor = _Exponential.apply(matrix)  # type: ignore[no-untyped-call]
    return result
