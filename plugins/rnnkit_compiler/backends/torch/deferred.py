"""Products with a matrix whose gradient waits until all steps are done, and then takes one product."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.trace.script import MatrixProduct


def deferring(invariants: Sequence[Tensor], products: Sequence[int]) -> tuple[MatrixProduct, list[Tensor]]:
    """Return a product whose matrix waits for its gradient, and the invariants with those matrices in their handles."""
    pairs: dict[int, list[tuple[Tensor, Tensor]]] = {}
    handles = list(invariants)
    for place in products:
        own: list[tuple[Tensor, Tensor]] = []
        handles[place] = Handle.apply(own, invariants[place])  # type: ignore[no-untyped-call]
        pairs[id(handles[place])] = own

    def multiply(rows: Tensor, matrix: Tensor) -> Tensor:
        result: Tensor = DeferredProduct.apply(pairs[id(matrix)], rows, matrix)  # type: ignore[no-untyped-call]
        return result

    return multiply, handles


class Handle(torch.autograd.Function):
    """The identity on a matrix. In backward it comes after all products, and adds what they have left to do."""

    @staticmethod
    def forward(ctx: Any, pairs: list[tuple[Tensor, Tensor]], matrix: Tensor) -> Tensor:
        """Return the matrix under a handle of its own."""
        ctx.pairs = pairs
        return matrix.view_as(matrix)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        """Add what the products have left, in one product over all steps."""
        if ctx.pairs:
            rows, grads = (torch.cat(tensors) for tensors in zip(*ctx.pairs, strict=True))
            ctx.pairs.clear()
            grad = grad + rows.mH @ grads
        return None, grad


class DeferredProduct(torch.autograd.Function):
    """Rows times a matrix, whose gradient is left to its Handle; when it is to be differentiated again, at once."""

    @staticmethod
    def forward(ctx: Any, pairs: list[tuple[Tensor, Tensor]], rows: Tensor, matrix: Tensor) -> Tensor:
        """MatrixProduct."""
        ctx.pairs = pairs
        ctx.save_for_backward(rows, matrix)
        return rows @ matrix

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor | None]:
        """Return the gradient of the rows, and leave the matrix's to its Handle."""
        rows, matrix = ctx.saved_tensors
        if torch.is_grad_enabled():
            return None, grad @ matrix.mH, rows.mH @ grad
        if ctx.needs_input_grad[2]:
            ctx.pairs.append((rows, grad))
        return None, grad @ matrix.mH, None
