"""Conditions: masks that a step finds true everywhere and raises of otherwise, as distributions do of their arguments.

A kernel cannot raise. So a row in which a condition does not hold has an output that is no number, and the call is made
again by the loop, which has its own words.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch

from rnnkit_compiler.trace.recording import Call, NotRecordable, Recording, Ref

aten = torch.ops.aten


def hold(recording: Recording) -> None:
    """Have the output be no number in rows where a condition does not hold.

    Raises:
        NotRecordable: there is no such number, or a condition joins the rows with something else.
    """
    if not recording.conditions:
        return
    before, adding = recording.output, _Adding(recording)
    if not recording.dtypes[before].is_floating_point:
        raise NotRecordable("step() reads the values of a tensor, and has an output that is not real")
    held, *others = map(adding.of_each_row, dict.fromkeys(recording.conditions))
    for other in others:
        shape = max(recording.shapes[held], recording.shapes[other], key=len)
        held = adding.made(aten.bitwise_and.Tensor, shape, held, Ref(other))
    failed = adding.made(aten.logical_not.default, recording.shapes[held], held)
    if shape := recording.shapes[failed]:
        for dim in range(1, len(recording.shapes[before])):
            failed = adding.made(aten.unsqueeze.default, (*shape, *[1] * dim), failed, dim)
    after = adding.made(aten.masked_fill.Scalar, recording.shapes[before], before, Ref(failed), math.nan)
    recording.output, recording.is_conditional = after, True
    recording.next_states = [after if number == before else number for number in recording.next_states]


class _Adding:
    """Adds calls to a recording."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def made(self, operator: Any, shape: Sequence[int], number: int, *arguments: Any) -> int:
        """Add a call on a tensor, which returns one of a shape, of the same dtype; return its number."""
        recording = self._recording
        made = len(recording.shapes)
        recording.shapes.append(tuple(shape))
        recording.dtypes.append(recording.dtypes[number])
        recording.calls.append(Call(operator, (Ref(number), *arguments), {}, (made,), several=False))
        return made

    def of_each_row(self, mask: int) -> int:
        """Return whether a mask is true in all of each row (B,); in all of it (), if it is the same for all rows."""
        rows = self._recording.rows
        for dim in reversed(range(len(self._recording.shapes[mask]))):
            shape = [*self._recording.shapes[mask]]
            size = shape.pop(dim)
            if size % rows or not size:
                mask = self.made(aten.all.dim, shape, mask, dim)
            elif size != rows:  # of which row each is does not matter: the call is made again if one is not true
                split = [*shape[:dim], rows, size // rows, *shape[dim:]]
                mask = self.made(aten.view.default, split, mask, split)
                mask = self.made(aten.all.dim, [*shape[:dim], rows, *shape[dim:]], mask, dim + 1)
        if len(self._recording.shapes[mask]) > 1:
            raise NotRecordable("step() reads the values of a tensor that has the batch twice")
        return mask
