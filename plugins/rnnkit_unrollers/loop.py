"""The plain loop: the reference that every other unroller must equal."""

from collections.abc import Callable, Iterable
from itertools import repeat

import torch
from torch import Tensor

import rnnkit
from rnnkit import Cell, Masks, Projected, State
from rnnkit_unrollers._per_sample import expanded_weights, unroll_rows


class Loop(rnnkit.Unroller):
    """Steps through time one by one and lets autograd record everything.

    `project` runs once for the whole sequence, as one large matrix product.

    Memory: everything that autograd saves in each of the T steps. Time: one pass forward, one back.
    """

    name = "loop"
    auto_rank = 0
    is_reference = True

    def __call__(
        self,
        cell: Cell,
        xs: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Unroll `cell` over `xs` (T, B, D); see `rnnkit.Unroller`."""
        expanded = expanded_weights(cell)
        if expanded:
            return unroll_rows(self, cell, expanded, xs, state, lengths, reset)
        xs, state, masks = rnnkit.prepare(cell, xs, state, lengths, reset)
        ys: list[Tensor] = []
        # By a view, in which the gradients of the input gather before they join others: elsewhere their sum would
        # depend on what else reads the input.
        state = run(cell, cell.project(xs.view_as(xs)), state, masks, ys.append)
        output = torch.stack(ys)
        # Cloned, for a caller may change it in place, and it may be what a step has saved, or the first state itself.
        return output, tuple(tensor.clone() for tensor in state)


def run(cell: Cell, projected: Projected, state: State, masks: Masks, emit: Callable[[Tensor], object]) -> State:
    """Step through what `project` returned, hand each output (B, O) to `emit`; return the last state."""
    first = True
    for p, live, restart in zip(rnnkit.time_slices(projected), _rows(masks.live), _rows(masks.restart), strict=False):
        before = state
        if restart is not None:
            state = rnnkit.choose_rows(restart, masks.initial, state)
        result = cell.step(p, state)
        if first:
            rnnkit.check_step(cell, result, before)
            first = False
        y, state = result
        if live is not None:
            y, state = rnnkit.hold_ended(live, y, state, before)
        emit(y)
    return state


def _rows(mask: Tensor | None) -> Iterable[Tensor | None]:
    return repeat(None) if mask is None else mask.unbind(0)


@rnnkit.hookimpl
def rnnkit_unrollers() -> list[type[rnnkit.Unroller]]:
    """Offer the loop."""
    return [Loop]
