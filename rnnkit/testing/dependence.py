"""Dependence: what a cell has and does not use."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State
from rnnkit.plugin.resolve import reference_unroller

IDLE = {
    "the input": "nothing depends on the input; read it in project() or step()",
    "the state": "nothing depends on the state, so no step knows of those before; read it in step()",
}
"""What is said of those that are no parameters."""


def idle_tensors(cell: Cell, xs: Tensor, state: State) -> Iterator[str]:
    """Yield "the input", "the state" or the name of a parameter, if nothing depends on it by autograd nor by value."""
    xs = xs.clone().requires_grad_()
    named = {"the input": xs, **{name: p for name, p in cell.named_parameters() if p.requires_grad}}
    outputs = _outputs(cell, xs, state)
    differentiable = [tensor.sum() for tensor in outputs if tensor.requires_grad]
    gradients: tuple[Tensor | None, ...] = (None,) * len(named)
    if differentiable:
        total = torch.stack(differentiable).sum()
        gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    for (name, tensor), gradient in zip(named.items(), gradients, strict=True):
        if gradient is None and _unmoved(cell, tensor, outputs, partial(_outputs, cell, xs, state)):
            yield name
    if any(tensor.is_floating_point() for tensor in state):  # whole numbers may be drawn as they begin
        from_given, from_own = outputs[: len(outputs) // 2], outputs[len(outputs) // 2 :]
        if all(map(torch.equal, from_given, from_own)):
            yield "the state"


def _unmoved(cell: Cell, tensor: Tensor, outputs: list[Tensor], run: "partial[list[Tensor]]") -> bool:
    """Tell whether a tensor may be changed, for a while, and no output is another."""
    before = tensor.detach().clone()
    with torch.no_grad():
        tensor += torch.randn_like(tensor)
        try:
            return all(map(torch.equal, outputs, run()))
        finally:
            tensor.copy_(before)


def _outputs(cell: Cell, xs: Tensor, state: State) -> list[Tensor]:
    """Unroll from a state and from the cell's own, drawing the same random numbers every time."""
    torch.manual_seed(1)
    unroll = reference_unroller()
    return [tensor for begin in (state, None) for ys, last in [unroll(cell, xs, begin)] for tensor in (ys, *last)]
