"""Gradients by running the steps again with torch's operations: where a pass of its own back would not do."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.backend import Tensors, Timeline
from rnnkit_compiler.backends.base.forms import Steps


def flat(tensors: Tensors) -> list[Tensor]:
    """Return all tensors of a call, in order."""
    return [tensor for group in tensors for tensor in group]


def grouped(everything: Sequence[Tensor], like: Tensors) -> Tensors:
    """Return what `flat` has made of tensors in groups as long as these."""
    remaining = iter(everything)
    return Tensors(*([next(remaining) for _ in group] for group in like))


def again(
    steps: Steps, tensors: Tensors, timeline: Timeline, needs: Sequence[bool], grads: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """Return the gradients of all tensors; they can be differentiated if asked for.

    Args:
        steps: runs them, by operations that autograd knows.
        tensors: of the call.
        timeline: of the call.
        needs: which of the tensors need a gradient.
        grads: of the outputs and each last state.
    """
    create_graph = torch.is_grad_enabled()
    # By views: second derivatives reach what the tensors came from, and a gradient ends at each of them, though one may
    # have been computed from another.
    with torch.enable_grad():
        views = [t.view_as(t) if need else t for t, need in zip(flat(tensors), needs, strict=True)]
        ys, last = steps.run(grouped(views, tensors), timeline)
    pairs = [
        (result, grad)
        for result, grad in zip((ys, *last), grads, strict=True)
        if result.requires_grad and grad is not None
    ]
    wanted = [tensor for tensor, need in zip(views, needs, strict=True) if need]
    results, given = [result for result, _ in pairs], [grad for _, grad in pairs]
    computed = iter(torch.autograd.grad(results, wanted, given, create_graph=create_graph, allow_unused=True))
    return [next(computed) if need else None for need in needs]
