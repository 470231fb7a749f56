"""All steps in kernels, as one operation of autograd, and torch's operations where kernels would not do."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit_compiler.backends.base.again import again
from rnnkit_compiler.backends.base.backend import Results, Tensors, Timeline
from rnnkit_compiler.backends.base.backward_pass import Incoming
from rnnkit_compiler.backends.base.calls import Calls
from rnnkit_compiler.backends.base.forward_pass import Kept
from rnnkit_compiler.backends.base.runtime import Unfit
from rnnkit_compiler.trace.saved_tensors import are_hooked

_requires_grad = attrgetter("requires_grad")


def apply(calls: Calls, tensors: Tensors, timeline: Timeline) -> Results:
    """Run the kernel; return outputs (T, B, O) and the last state. What it may not touch, torch's operations do."""
    forms = calls.recurrence.forms
    if forms.are_plain:
        return _apply(calls, tensors, timeline)
    if not forms.fit(tensors, timeline):
        return calls.recurrence.fallback.run(tensors, timeline)
    return forms.results_from_kernel(_apply(calls, forms.tensors_to_kernel(tensors), timeline))


def _apply(calls: Calls, tensors: Tensors, timeline: Timeline) -> Results:
    """Do the same with what is in the kernel's form."""
    everything = (*tensors.parts, *tensors.states, *tensors.initial, *tensors.invariants)
    differentiated = torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    try:
        if differentiated and any(map(_requires_grad, everything)):
            if not calls.are_free and are_hooked():
                return _apply(calls.free, calls.summed(tensors), timeline)  # backward reads what the hooks return
            record: Callable[..., Any] = AllSteps.apply if calls.are_free else _record
            ys, *last = record(calls, timeline, *everything)
        else:
            ys, last, _ = calls.forward(timeline, everything, False).run(timeline, everything)
    except Unfit:
        return calls.run(tensors, timeline)
    return ys, tuple(last)


class _Written:
    """Tells whether outputs that share their memory with the states were written over since (None: they do not)."""

    def __init__(self, outputs: Tensor | None, nothing: Tensor) -> None:
        # An alias has the same version. Without its numbers, since it lives as long as the graph; and the outputs
        # themselves would hold the graph, and it them.
        self._alias = None if outputs is None else outputs.detach()
        self._version = 0
        if self._alias is not None:
            self._alias.data = nothing
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
    def forward(ctx: Any, calls: Calls, timeline: Timeline, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run the kernel, keeping what backward reads."""
        call = calls.forward(timeline, tensors, True)
        ys, last, kept = call.run(timeline, tensors)
        ctx.set_materialize_grads(False)
        ctx.calls, ctx.timeline = calls, timeline
        ctx.save_for_backward(*tensors, *kept.parts, *kept.rooms, kept.memory, kept.y_states)
        ctx.snapshot = rnnkit.Snapshot(tensors)
        ctx.written = _Written(ys if call.shares_outputs else None, call.nothing)
        return (ys, *last)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Run the kernel back, or where that would not do, the steps again."""
        device = ctx.calls.recurrence.runtime.device
        if not rnnkit.casts_automatically(device):
            return _backward(ctx, grads)
        with torch.autocast(device.type, enabled=False):
            return _backward(ctx, grads)


_record = super(torch.autograd.Function, AllSteps).apply
"""The same as `AllSteps.apply`, which first looks for what a transform of torch.func has left over."""


def _backward(ctx: Any, grads: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    calls, timeline = ctx.calls, ctx.timeline
    *saved, memory, y_states = ctx.saved_tensors
    needs = ctx.needs_input_grad[2:]
    tensors, others = ctx.snapshot.of(saved[: len(needs)]), saved[len(needs) :]
    if not torch.is_grad_enabled() and not rnnkit.watched_by():
        try:
            calls.check_addresses(tensors)
            kept = Kept(memory, y_states, others[: (count := len(calls.recurrence.plan.reads_parts))], others[count:])
            if ctx.written:
                kept = calls.forward(timeline, tensors, True).run(timeline, tensors).kept
            again = torch._C._autograd._get_current_graph_task_keep_graph() or ctx.snapshot.under_hooks
            incoming = Incoming(needs, grads, bool(again))
            call = calls.backward(timeline, tensors, kept, incoming)
            return (None, None, *call.run(timeline, tensors, kept, incoming))
        except Unfit:
            pass
    return (None, None, *_again(calls, timeline, tensors, needs, grads))


def _again(
    calls: Calls,
    timeline: Timeline,
    tensors: Sequence[Tensor],
    needs: Sequence[bool],
    grads: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Return gradients by torch's operations, which run the steps again."""
    parts, states = calls.recurrence.given_parts, len(calls.recurrence.plan.step.state_widths)
    first = parts + states + (states if timeline.reset is not None else 0)
    before, initial = tensors[parts : parts + states], tensors[parts + states : first]
    given = Tensors(tensors[:parts], before, initial, tensors[first:])
    return again(calls, given, timeline, needs, grads)
