"""Rows that do not all run: which do at which step, and what becomes of those that have ended."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnkit.core.cell import State


def running_rows(lengths: Tensor, steps: int, device: torch.device | None = None) -> Tensor:
    """Return (T, B) booleans: whether a row of that many `lengths` (B,) has not ended before a step.

    Args:
        lengths: (B,) steps of each row.
        steps: T.
        device: of the result; None: that of `lengths`.
    """
    lengths = lengths if device is None else lengths.to(device)
    return torch.arange(steps, device=lengths.device).unsqueeze(1) < lengths.unsqueeze(0)


def choose_rows(rows: Tensor, chosen: Sequence[Tensor], other: Sequence[Tensor]) -> State:
    """Return `chosen` in the rows (B,) that are true and `other` in the rest, tensor by tensor, each (B, ...)."""
    return tuple(torch.where(rows.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(chosen, other, strict=True))


def hold_ended(running: Tensor, y: Tensor, state: State, before: State) -> tuple[Tensor, State]:
    """Return a step's output (B, O) and state with the rows that have ended held: output zero, state as before.

    `running` (B,) is true for the others.
    """
    (y,) = choose_rows(running, (y,), (torch.zeros_like(y),))
    return y, choose_rows(running, state, before)
