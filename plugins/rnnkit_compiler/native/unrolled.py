"""A cell unrolled by a native kernel, as one operation of autograd."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.native.backward_pass import BackwardPass
from rnnkit_compiler.native.forward_pass import ForwardPass
from rnnkit_compiler.native.unrolling import Unrolling
from rnnkit_compiler.run.backend import Sequences, Tensors


def apply(unrolling: Unrolling, tensors: Tensors, sequences: Sequences) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run the kernel; give outputs (T, B, O) and the last state."""
    everything = (*tensors.parts, *tensors.states, *tensors.initial, *tensors.invariants)
    training = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in everything)
    ys, *last = Unrolled.apply(unrolling, sequences, training, *everything)  # type: ignore[no-untyped-call]
    return ys, tuple(last)


class Unrolled(torch.autograd.Function):
    """Outputs and last states; the gradients of the matrices wait until the last step is done.

    Tensors, in order: parts (T, B, w), states (B, w), initial states for rows that start again (none without them),
    invariants. Not twice differentiable by itself: under `create_graph` the steps run again with torch's operations.
    """

    @staticmethod
    def forward(
        ctx: Any, unrolling: Unrolling, sequences: Sequences, training: bool, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Run the kernel, keeping what the way back reads if training."""
        call = ForwardPass(unrolling, sequences, tensors, training)
        ys, last = call.run()
        if training:
            ctx.set_materialize_grads(False)
            ctx.unrolling, ctx.sequences = unrolling, sequences
            ctx.save_for_backward(*tensors, *call.kept_parts, *call.kept, call.memory, call.y_states, ys)
        return (ys, *last)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Run the kernel back, or for a gradient that is to be differentiated, the steps again."""
        *saved, memory, y_states, _ = ctx.saved_tensors
        needs, count = ctx.needs_input_grad[3:], len(ctx.unrolling.plan.reads_parts)
        tensors, others = saved[: len(needs)], saved[len(needs) :]
        if torch.is_grad_enabled():
            return (None, None, None, *_again(ctx.unrolling, ctx.sequences, tensors, needs, grads))
        call = BackwardPass(ctx.unrolling, ctx.sequences, tensors, needs, grads)
        return (None, None, None, *call.run(memory, y_states, others[:count], others[count:]))


def _again(
    unrolling: Unrolling,
    sequences: Sequences,
    tensors: Sequence[Tensor],
    needs: Sequence[bool],
    grads: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Give gradients that can be differentiated: the steps run again with torch's operations."""
    parts, states = unrolling.given_parts, len(unrolling.plan.step.state_widths)
    first = parts + states + (states if sequences.reset is not None else 0)
    # By views: second derivatives reach what the tensors came from, and a gradient ends at each of them, though one may
    # have been computed from another.
    tensors = [tensor.view_as(tensor) if need else tensor for tensor, need in zip(tensors, needs, strict=True)]
    groups = Tensors(tensors[:parts], tensors[parts : parts + states], tensors[parts + states : first], tensors[first:])
    ys, last = unrolling.again.run(groups, sequences)
    pairs = [
        (result, grad)
        for result, grad in zip((ys, *last), grads, strict=True)
        if result.requires_grad and grad is not None
    ]
    wanted = [tensor for tensor, need in zip(tensors, needs, strict=True) if need]
    results, given = [result for result, _ in pairs], [grad for _, grad in pairs]
    found = iter(
        torch.autograd.grad(results, wanted, given, create_graph=True, allow_unused=True, materialize_grads=True)
    )
    return [next(found) if need else None for need in needs]
