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
    ys, (last,) = stack_by_kernel([subject], xs, [state], lengths, live)
    return ys, last


def stack_by_kernel(
    subjects: Sequence[Subject], xs: Tensor, states: Sequence[State], lengths: Tensor | None, live: Tensor | None
) -> tuple[Tensor, list[State]]:
    """Do the same with subjects one on top of the other, of which `states` are those before the first step."""
    weights = [weights_of(subject) for subject in subjects]
    kernel = Kernel(tuple(subjects), tuple(weights[0]), lengths)
    flat = [tensor for state in states for tensor in state]
    tensors = (xs, *flat, *(tensor for own in weights for tensor in own.values()))
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        ys, *last = Pass.apply(kernel, live, *tensors)  # type: ignore[no-untyped-call]
    else:
        ys, *last = kernel(tensors, train=False)
    return ys, [tuple(last[k : k + kernel.states]) for k in range(0, len(last), kernel.states)]


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
    xs, states, weights = kernel.apart(tensors)
    casting = torch.autocast(xs.device.type, dtype=ctx.autocast, enabled=ctx.autocast is not None)
    last: list[Tensor] = []
    for subject, state, own in zip(kernel.subjects, states, weights, strict=True):
        cell, ys = subject.cell, list[Tensor]()
        held = rnnkit.tensors_replaced(cell, dict(zip(kernel.names, own, strict=True)))
        with held, casting, torch.enable_grad():
            last += run(cell, cell.project(xs), tuple(state), Masks(ctx.live, None, ()), ys.append)
            xs = torch.stack(ys)
    return gradient([xs, *last], gradients, tensors, create_graph=again)
