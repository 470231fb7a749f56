"""A kernel of torch's as one operation of autograd; where its backward is differentiated, the loop in its place."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit import Masks, State
from rnnkit_unrollers._kernels import Kernel, Subject, weights_of
from rnnkit_unrollers._replay import Gradients, gradient
from rnnkit_unrollers.loop import run


def by_kernel(
    subject: Subject, xs: Tensor, state: State, lengths: Tensor | None, live: Tensor | None
) -> tuple[Tensor, State]:
    """Run a kernel over rows that start once; `lengths` (B,) and `live` (T, B) say the same of their ends."""
    weights = weights_of(subject)
    kernel, tensors = Kernel(subject, tuple(weights), lengths), (xs, *state, *weights.values())
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        ys, *last = Pass.apply(kernel, live, *tensors)  # type: ignore[no-untyped-call]
    else:
        ys, *last = kernel(tensors, train=False)
    return ys, tuple(last)


class Pass(torch.autograd.Function):
    """A kernel forward and back; where its backward is differentiated or transformed, the loop in its place."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, live: Tensor | None, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run the kernel; `live` (T, B) tells which rows have not ended, None: all run to the end."""
        ctx.kernel, ctx.live = kernel, live
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        device = tensors[0].device
        ctx.autocast = torch.get_autocast_dtype(device.type) if rnnkit.casts_automatically(device) else None
        # Detached they share the version counters: in-place changes are found out as they are with torch.nn.
        ctx.leaves = tuple(tensor.detach().requires_grad_(tensor.requires_grad) for tensor in tensors)
        with torch.enable_grad():
            ctx.results = kernel(ctx.leaves, train=True)
        return tuple(result.detach() for result in ctx.results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Run the kernel's own backward, or take the loop's."""
        if torch.is_grad_enabled() or rnnkit.watched_by(*gradients):
            return None, None, *_through_the_loop(ctx, gradients)
        needed = ctx.needs_input_grad[2:]
        leaves = [leaf if wanted else leaf.detach() for leaf, wanted in zip(ctx.leaves, needed, strict=True)]
        keep = torch._C._autograd._get_current_graph_task_keep_graph()
        return None, None, *gradient(ctx.results, gradients, leaves, retain_graph=keep)


def _through_the_loop(ctx: Any, gradients: Sequence[Tensor | None]) -> Gradients:
    """Return the gradients of the plain loop, recorded by autograd if it records."""
    kernel, again = ctx.kernel, torch.is_grad_enabled()
    # By views, so that each has the gradient of its own uses alone: a learnt state is made of a weight.
    with torch.enable_grad():
        tensors = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
    state, weights = tuple(tensors[1 : 1 + kernel.states]), tensors[1 + kernel.states :]
    cell = kernel.subject.cell
    ys: list[Tensor] = []
    held = rnnkit.tensors_replaced(cell, dict(zip(kernel.names, weights, strict=True)))
    casting = torch.autocast(tensors[0].device.type, dtype=ctx.autocast, enabled=ctx.autocast is not None)
    with held, casting, torch.enable_grad():
        last = run(cell, cell.project(tensors[0]), state, Masks(ctx.live, None, ()), ys.append)
        outputs = [torch.stack(ys), *last]
    return gradient(outputs, gradients, tensors, create_graph=again)
