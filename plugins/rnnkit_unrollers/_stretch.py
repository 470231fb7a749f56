"""A stretch: some steps in a row taken as one, its derivatives gathered from those of its steps.

Within a stretch the chain rule is read from its end, as in backpropagation, from stretch to stretch from the start:
either way the terms are the same, and the sums over a weight's steps become products of matrices.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit_unrollers._influence import Layout


class Stretch(NamedTuple):
    """The derivatives of a stretch of C steps, by what stands before it and by the state after each of its steps.

    `end` is how the state after the last step depends on them, (height, N) a row, zero where the row has ended; `loss`
    what is known of the loss within the stretch, (N) a row.
    """

    end_by_start: Tensor
    loss_by_start: Tensor
    end_by_initial: Tensor
    """Of the rows that were reset on the way."""
    loss_by_initial: Tensor
    end_by_steps: Tensor
    """(C, B, height, N)."""
    loss_by_steps: Tensor
    """(C, B, N)."""


class Steps(NamedTuple):
    """What the steps of a stretch are by themselves."""

    jacobian: Tensor
    """Of each state after a step by the one before: (C, B, ...), as of Layout.matrix."""
    by_outputs: Tensor | None
    """What the gradients of the outputs say of the state before each step, (C, B, N); None: they say nothing."""
    restart: Tensor | None
    """Rows that begin anew from the initial state before each step, (C, B); None: none does."""
    live: Tensor | None
    """Rows that have not ended, (C, B); None: all are live."""


def taken_as_one(layout: Layout, steps: Steps, last: Tensor) -> Stretch:
    """Take steps as one.

    Args:
        layout: of the state.
        steps: what they are by themselves.
        last: what is known of the loss by the state after the last step: (B, N).
    """
    count, rows = len(steps.jacobian), len(last)
    # One more seed than the Jacobian asks for: what the loss says takes the same way back.
    way = torch.cat([layout.seeds(last).expand(rows, -1, -1), last.unsqueeze(1)], 1)
    initial, ways = torch.zeros_like(way), way.new_empty(count, *way.shape)
    for t in reversed(range(count)):
        live = None if steps.live is None else steps.live[t].view(-1, 1, 1)
        ways[t] = way if live is None else way * live
        before = layout.through(way, steps.jacobian[t])
        if steps.by_outputs is not None:
            before[:, -1] += steps.by_outputs[t]
        if steps.restart is not None:
            anew = steps.restart[t].view(-1, 1, 1)
            anew = anew if live is None else anew & live
            initial += before * anew
            before = before * ~anew
        way = before if live is None else torch.where(live, before, way)
    return Stretch(way[:, :-1], way[:, -1], initial[:, :-1], initial[:, -1], ways[:, :, :-1], ways[:, :, -1])
