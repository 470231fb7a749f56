"""The gradient of a whole sequence without a history: the machinery of `rtrl`.

The forward pass keeps nothing but its outputs. Once their gradients are known, the sequence is run again from its
start, stretch by stretch, with the influence of parameters and of the first state on the present one.
"""

import logging
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor

import rnnkit
from rnnkit.errors import first_line
from rnnkit_unrollers._forward_call import Call
from rnnkit_unrollers._replay import Gradients, Outputs, gradient
from rnnkit_unrollers._rerun import Rerun
from rnnkit_unrollers._weights import for_hooks
from rnnkit_unrollers.loop import run

logger = logging.getLogger("rnnkit")

_left_to_the_loop: WeakSet[type[rnnkit.Cell]] = WeakSet()
"""Cells of which it has been said."""


class ForwardMode(torch.autograd.Function):
    """Forward without a graph; backward by running forward again with influences."""

    @staticmethod
    def forward(ctx: Any, call: Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return outputs (T, B, O) and last states."""
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        ctx.snapshot = rnnkit.Snapshot(tensors)
        xs, state, _, weights = call.inputs([tensor.detach() for tensor in tensors])
        call.cell = call.equipped(weights)  # as it is now, whatever becomes of the cell
        ctx.call = call
        outputs = Outputs(len(xs))
        for start, stop in call.stretches(len(xs), xs.shape[1]):
            state = run(
                call.cell, call.cell.project(xs[start:stop]), state, call.masks.between(start, stop), outputs.append
            )
        return outputs.ys, *(tensor.clone() for tensor in state)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Run forward again; the loop's backward where it is to be differentiated or transformed itself."""
        call, again = ctx.call, torch.is_grad_enabled()
        given = ctx.saved_tensors
        saved = ctx.snapshot.of(given)
        plain = not again and not rnnkit.watched_by(*gradients)
        found = _by_influence(call, saved, gradients) if plain else None
        if found is None:
            found = _by_the_loop(call, saved, gradients, again)
        return None, *for_hooks(found, given)


def _by_influence(call: Call, tensors: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> Gradients | None:
    """Run forward again with influences; None, which is said once a cell: its step bears no batch of derivatives."""
    try:
        return Rerun(call, tensors).gradients(gradients)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # a view, say, of what lies in memory in another order than it does alone
        kind = type(call.cell)
        if kind not in _left_to_the_loop:
            _left_to_the_loop.add(kind)
            logger.warning(
                "unroller 'rtrl': the step of cell %r fails with a batch of derivatives (%s); the loop goes back",
                call.cell.name,
                first_line(error),
            )
        return None


def _by_the_loop(
    call: Call, saved: Sequence[Tensor], gradients: Sequence[Tensor | None], create_graph: bool
) -> Gradients:
    """Run the loop with a graph, and back through it."""
    with torch.enable_grad():
        tensors = [tensor.view_as(tensor) for tensor in saved]
        xs, state, initial, weights = call.inputs(tensors)
        cell, ys = call.equipped(weights), list[Tensor]()
        last = run(cell, cell.project(xs), state, call.masks._replace(initial=initial), ys.append)
        results = [torch.stack(ys), *last]
    return gradient(results, gradients, tensors, create_graph=create_graph)
