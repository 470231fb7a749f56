"""All steps in kernels, as one operation of autograd, and torch's operations where kernels would not do."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit_compiler.backends.base.again import again
from rnnkit_compiler.backends.base.backend import Results, Tensors, Timeline
from rnnkit_compiler.backends.base.backward_pass import BackwardPass, Incoming
from rnnkit_compiler.backends.base.forward_pass import ForwardPass, Kept
from rnnkit_compiler.backends.base.recurrence import Recurrence
from rnnkit_compiler.backends.base.runtime import Unfit


def apply(recurrence: Recurrence, tensors: Tensors, timeline: Timeline) -> Results:
    """Run the kernel; return outputs (T, B, O) and the last state. What it may not touch, torch's operations do."""
    forms = recurrence.forms
    if forms.are_plain:
        return _apply(recurrence, tensors, timeline)
    if not forms.fit(tensors, timeline):
        return recurrence.fallback.run(tensors, timeline)
    return forms.results_from_kernel(_apply(recurrence, forms.tensors_to_kernel(tensors), timeline))


def _apply(recurrence: Recurrence, tensors: Tensors, timeline: Timeline) -> Results:
    """Do the same with what is in the kernel's form."""
    everything = (*tensors.parts, *tensors.states, *tensors.initial, *tensors.invariants)
    differentiated = torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    training = differentiated and any(tensor.requires_grad for tensor in everything)
    try:
        if training:
            ys, *last = AllSteps.apply(recurrence, timeline, *everything)  # type: ignore[no-untyped-call]
        else:
            ys, last, _ = _forward_pass(recurrence, timeline, everything, False).run(timeline, everything)
    except Unfit:
        return recurrence.in_kernels_form.run(tensors, timeline)
    return ys, tuple(last)


class _Written:
    """Tells whether outputs that share their memory with the states were written over since (None: they do not)."""

    def __init__(self, outputs: Tensor | None) -> None:
        # An alias has the same version. Without its numbers, since it lives as long as the graph; and the outputs
        # themselves would hold the graph, and it them.
        self._alias = None if outputs is None else outputs.detach()
        self._version = 0
        if self._alias is not None:
            self._alias.data = torch.empty(0, dtype=self._alias.dtype, device=self._alias.device)
            self._version = self._alias._version

    def __bool__(self) -> bool:
        return self._alias is not None and self._alias._version != self._version


class AllSteps(torch.autograd.Function):
    """Outputs and last states; the gradients of the matrices wait until the last step is done.

    Tensors, in order: parts (T, B, w), states (B, w), initial states for rows that start again (none without them),
    invariants. Not twice differentiable by itself: under `create_graph`, and where something looks at the operations of
    backward or hands it what a kernel may not touch, the steps run again with torch's operations.
    """

    @staticmethod
    def forward(ctx: Any, recurrence: Recurrence, timeline: Timeline, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run the kernel, keeping what backward reads."""
        call = _forward_pass(recurrence, timeline, tensors, True)
        ys, last, kept = call.run(timeline, tensors)
        ctx.set_materialize_grads(False)
        ctx.recurrence, ctx.timeline = recurrence, timeline
        ctx.save_for_backward(*tensors, *kept.parts, *kept.rooms, kept.memory, kept.y_states)
        ctx.snapshot = rnnkit.Snapshot(tensors)
        ctx.written = _Written(ys if call.shares_outputs else None)
        return (ys, *last)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Run the kernel back, or where that would not do, the steps again."""
        device = ctx.recurrence.runtime.device
        if not rnnkit.casts_automatically(device):
            return _backward(ctx, grads)
        with torch.autocast(device.type, enabled=False):
            return _backward(ctx, grads)


def _backward(ctx: Any, grads: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    recurrence, timeline = ctx.recurrence, ctx.timeline
    *saved, memory, y_states = ctx.saved_tensors
    needs = ctx.needs_input_grad[2:]
    tensors, others = ctx.snapshot.of(saved[: len(needs)]), saved[len(needs) :]
    if not torch.is_grad_enabled() and not rnnkit.watched_by():
        try:
            kept = Kept(memory, y_states, others[: (count := len(recurrence.plan.reads_parts))], others[count:])
            if ctx.written:
                kept = _forward_pass(recurrence, timeline, tensors, True).run(timeline, tensors).kept
            incoming = Incoming(needs, grads, bool(torch._C._autograd._get_current_graph_task_keep_graph()))
            call = _backward_pass(recurrence, timeline, tensors, kept, incoming)
            return (None, None, *call.run(timeline, tensors, kept, incoming))
        except Unfit:
            pass
    return (None, None, *_again(recurrence, timeline, tensors, needs, grads))


def _forward_pass(recurrence: Recurrence, timeline: Timeline, tensors: Sequence[Tensor], training: bool) -> ForwardPass:
    """Return the pass of calls of this form, prepared by now or not."""
    form = (training, *recurrence.form(timeline, tensors))
    return recurrence.forward.get(form, lambda: ForwardPass(recurrence, timeline, tensors, training))


def _backward_pass(
    recurrence: Recurrence, timeline: Timeline, tensors: Sequence[Tensor], kept: Kept, incoming: Incoming
) -> BackwardPass:
    absent = [grad is None for grad in incoming.grads]
    form = (*incoming.needs, incoming.again, *absent, *recurrence.form(timeline, tensors))
    return recurrence.backward.get(form, lambda: BackwardPass(recurrence, timeline, tensors, kept, incoming))


def _again(
    recurrence: Recurrence,
    timeline: Timeline,
    tensors: Sequence[Tensor],
    needs: Sequence[bool],
    grads: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Return gradients by torch's operations, which run the steps again."""
    parts, states = recurrence.given_parts, len(recurrence.plan.step.state_widths)
    first = parts + states + (states if timeline.reset is not None else 0)
    before, initial = tensors[parts : parts + states], tensors[parts + states : first]
    given = Tensors(tensors[:parts], before, initial, tensors[first:])
    return again(recurrence.in_kernels_form, given, timeline, needs, grads)
