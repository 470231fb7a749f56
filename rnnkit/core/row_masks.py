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
    lengths = lengths if device is None else sent(lengths, device)
    return torch.arange(steps, device=lengths.device).unsqueeze(1) < lengths.unsqueeze(0)


def sent(lengths: Tensor, device: torch.device) -> Tensor:
    """Return `lengths` (B,) on a device, which mostly has other work to do and is not waited for.

    What is sent is a copy in memory that is not pinned, which CUDA has read when the call returns: whoever overwrites
    `lengths` then does not overtake it. A graph that is being recorded would read it again when it is replayed.
    """
    if device.type != "cuda" or not lengths.is_cpu or _is_recording():
        return lengths.to(device)
    return lengths.clone().to(device, non_blocking=True)


def _is_recording() -> bool:
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()  # type: ignore[no-untyped-call]


def choose_rows(rows: Tensor, chosen: Sequence[Tensor], other: Sequence[Tensor]) -> State:
    """Return `chosen` in the rows (B,) that are true and `other` in the rest, tensor by tensor, each (B, ...)."""
    return tuple(torch.where(rows.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(chosen, other, strict=True))


def hold_ended(running: Tensor, y: Tensor, state: State, before: State) -> tuple[Tensor, State]:
    """Return a step's output (B, O) and state with the rows that have ended held: output zero, state as before.

    `running` (B,) is true for the others.
    """
    (y,) = choose_rows(running, (y,), (torch.zeros_like(y),))
    return y, choose_rows(running, state, before)
