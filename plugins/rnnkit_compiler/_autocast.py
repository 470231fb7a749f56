"""Autocast: programs compute in the parameters' own dtype, and return what the loop would return."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

import rnnkit
from rnnkit import Cell, Prepared, State
from rnnkit_compiler.trace.example import on_trial
from rnnkit_compiler.trace.random_states import kept

NARROW = (torch.bfloat16, torch.float16)
"""What autocast computes in; a layer before may have returned it."""


def paused(device: torch.device) -> AbstractContextManager[object]:
    """Return what lets operations compute in the dtype of their operands while it is entered."""
    return torch.autocast(device.type, enabled=False) if rnnkit.casts_automatically(device) else nullcontext()


def widened(cell: Cell, prepared: Prepared) -> Prepared:
    """Return input and states of autocast's dtypes in that of the cell's first parameter."""
    like = next((tensor for tensor in cell.parameters() if tensor.is_floating_point()), None)
    if like is None:
        return prepared
    xs, state, masks = prepared
    (wide, *before), initial = _in_dtype((xs, *state), like.dtype), _in_dtype(masks.initial, like.dtype)
    return Prepared(wide, tuple(before), masks._replace(initial=tuple(initial)))


def _in_dtype(tensors: Iterable[Tensor], dtype: torch.dtype) -> list[Tensor]:
    return [tensor.to(dtype) if tensor.dtype in NARROW else tensor for tensor in tensors]


def loop_dtypes(cell: Cell, prepared: Prepared) -> list[torch.dtype]:
    """Return the dtypes of the loop's outputs and last states under the autocast that is on."""
    xs, state, masks = prepared
    steps = min(len(xs), 2 + len(state))  # the first state's dtypes are the caller's, those of later ones the steps'
    like = torch.zeros_like(xs[:steps, :1]).expand(-1, 2, -1)
    before = tuple(torch.zeros_like(tensor[:1]).expand(2, *tensor.shape[1:]) for tensor in state)
    lengths = None if masks.live is None else torch.tensor([steps, 1], device=xs.device)
    reset = None if masks.restart is None else torch.zeros(steps, 2, dtype=torch.bool, device=xs.device)
    with kept(xs), torch.no_grad(), on_trial(cell) as tried:
        ys, last = rnnkit.unrollers["loop"]()(tried, like, before, lengths=lengths, reset=reset)
    return [ys.dtype, *(tensor.dtype for tensor in last)]


def narrowed(results: tuple[Tensor, State], dtypes: Sequence[torch.dtype]) -> tuple[Tensor, State]:
    """Return outputs and last states in these dtypes."""
    ys, *last = (result.to(dtype) for result, dtype in zip((results[0], *results[1]), dtypes, strict=True))
    return ys, tuple(last)
