"""Rows that start again in mid-sequence, cut into pieces: from one start to the next, each is a row by itself.

Torch's kernels know no starts. What they are given instead is a batch of all pieces, of as many different lengths, each
beginning where its row did or with the cell's own initial state.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit import Masks, State, running_rows

MOST = 8
"""How many times as much memory as the input its pieces may take, padded to the longest."""


class Pieces(NamedTuple):
    """A batch of P pieces of L steps or fewer, in the order of their rows."""

    xs: Tensor
    """(L, P, D), zeros past the ends."""

    state: State
    """Before the first step, each (P, ...)."""

    lengths: Tensor
    """(P,) on the CPU."""

    live: Tensor
    """(L, P) booleans, where the input is: which pieces have not ended."""

    size: tuple[int, int]
    """T and B of the whole."""

    places: Tensor
    """(T * B,): where in L * P each step of each row is; 0 past its end."""

    whole: Tensor | None
    """(T, B) booleans: which rows have not ended; None: all run to the end."""

    last: Tensor
    """(B,): the last piece of each row."""

    def joined(self, ys: Tensor, last: State) -> tuple[Tensor, State]:
        """Return outputs (T, B, O) and last states, each (B, ...), from those of the pieces."""
        rows = ys.flatten(0, 1).index_select(0, self.places).view(*self.size, *ys.shape[2:])
        if self.whole is not None:
            rows = rows.masked_fill(~self.whole.unsqueeze(-1), 0)
        return rows, tuple(tensor.index_select(0, self.last) for tensor in last)


class Cuts(NamedTuple):
    """Where rows are cut: of each piece, in the order of rows and time, all on the CPU."""

    restart: Tensor
    """(T, B), of the call."""

    rows: Tensor
    """(P,) whose it is."""

    starts: Tensor
    """(P,) its first step."""

    counts: Tensor
    """(P,) its steps."""

    is_last: Tensor
    """(P,) booleans: whether it is the last one of its row."""

    @property
    def longest(self) -> int:
        """The steps of the longest piece."""
        return int(self.counts.max())

    @property
    def fit(self) -> bool:
        """Whether the pieces, padded to the longest, take no more memory than they may."""
        return self.longest * len(self.rows) <= MOST * self.restart.numel()


def cuts_of(masks: Masks) -> Cuts:
    """Find where rows are cut; those of starts are there."""
    assert masks.restart is not None
    restart = masks.restart.cpu()
    steps, batch = restart.shape
    ends = torch.full((batch,), steps, device="cpu") if masks.live is None else masks.live.sum(0).cpu()
    begin = restart.clone()
    begin[0] = True
    begin &= running_rows(ends, steps)
    rows, starts = begin.t().nonzero().unbind(1)
    is_last = torch.ones(len(rows), dtype=torch.bool, device="cpu")
    is_last[:-1] = rows[1:] != rows[:-1]
    stops = torch.where(is_last, ends[rows], starts.roll(-1))
    return Cuts(restart, rows, starts, stops - starts, is_last)


def cut(xs: Tensor, state: State, masks: Masks, cuts: Cuts) -> Pieces:
    """Cut rows where they start again.

    Args:
        xs: (T, B, D).
        state: before the first step, each (B, ...).
        masks: of the call.
        cuts: where.
    """
    steps, batch = xs.shape[:2]
    restart, rows, starts, counts, is_last = cuts
    k = torch.arange(cuts.longest, device="cpu").unsqueeze(1)
    sources = (starts + k).clamp(max=steps - 1) * batch + rows
    live = k < counts
    places = torch.zeros(steps * batch, dtype=torch.int64, device="cpu")
    places[sources[live]] = torch.arange(live.numel(), device="cpu").view(live.shape)[live]
    begins = torch.where((starts > 0) | restart[0, rows], batch + rows, rows).to(xs.device)
    there = live.to(xs.device)
    of_pieces = xs.flatten(0, 1).index_select(0, sources.flatten().to(xs.device)).view(*live.shape, -1)
    return Pieces(
        of_pieces.masked_fill(~there.unsqueeze(-1), 0),
        tuple(torch.cat(pair).index_select(0, begins) for pair in zip(state, masks.initial, strict=True)),
        counts,
        there,
        (steps, batch),
        places.to(xs.device),
        masks.live,
        is_last.nonzero().flatten().to(xs.device),
    )
