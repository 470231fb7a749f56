"""Per-sample gradients: what `torch.nn.utils`'s expanded weights ask for, of any cell.

Such a weight stands for a copy of itself for each row of the batch. Torch has a rule for it in a few operations; here
every row is stepped with a copy of its own, by vmap, so that any operation will do.
"""

import sys
from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit import Cell, State
from rnnkit.errors import ShapeError

IMPLEMENTATION = "torch.nn.utils._expanded_weights.expanded_weights_impl"


def expanded_weights(cell: Cell) -> dict[str, Any]:
    """Return the parameters of a cell that are expanded weights, by name."""
    if IMPLEMENTATION not in sys.modules:  # nobody has made any
        return {}
    named = cell.named_parameters(remove_duplicate=False)
    return {name: tensor for name, tensor in named if type(tensor).__name__ == "ExpandedWeight"}


def unroll_rows(
    unroller: rnnkit.Unroller,
    cell: Cell,
    weights: dict[str, Any],
    xs: Tensor,
    state: State | None,
    lengths: Tensor | None,
    reset: Tensor | None,
) -> tuple[Tensor, State]:
    """Unroll each row of `xs` (T, B, D) with its own copy of `weights`; their gradients go to `grad_sample`."""
    rows = xs.shape[1]
    for name, weight in weights.items():
        if weight.batch_size != rows:
            raise ShapeError(
                f"cell {cell.name!r}: {name} is expanded to a batch of {weight.batch_size}, the input has {rows} rows; "
                "give call_for_per_sample_grads the batch_size"
            )

    def unroll(copies: dict[str, Tensor], xs: Tensor, state: Any, lengths: Any, reset: Any) -> tuple[Tensor, State]:
        masks = {"lengths": lengths[None] if lengths is not None else None}
        masks["reset"] = reset[:, None] if reset is not None else None
        before = None if state is None else tuple(tensor[None] for tensor in state)
        with rnnkit.tensors_replaced(cell, copies):
            ys, last = unroller(cell, xs[:, None], before, **masks)
        return ys.squeeze(1), tuple(tensor.squeeze(0) for tensor in last)

    copies = {name: Copies.apply(weight.orig_weight, weight) for name, weight in weights.items()}  # type: ignore[no-untyped-call]
    lengths = None if lengths is None else torch.as_tensor(lengths)
    dims = (0, 1, None if state is None else 0, None if lengths is None else 0, None if reset is None else 1)
    mapped = torch.func.vmap(unroll, in_dims=dims, out_dims=(1, 0), randomness="different")
    outputs: tuple[Tensor, State] = mapped(copies, xs, state, lengths, reset)
    return outputs


class Copies(torch.autograd.Function):
    """A copy of a weight for each row; in the backward pass their gradients are kept apart, where torch keeps them."""

    @staticmethod
    def forward(ctx: Any, original: Tensor, weight: Any) -> Tensor:
        """Return (B, *weight.shape)."""
        ctx.original, ctx.weight = original, weight
        return original.expand(weight.batch_size, *original.shape).contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None]:
        """Add to `grad_sample`; the weight itself gets none, as in torch."""
        if ctx.weight.loss_reduction == "mean":
            gradient = gradient * ctx.weight.batch_size
        before = getattr(ctx.original, "grad_sample", None)
        ctx.original.grad_sample = gradient if before is None else before + gradient
        return None, None
