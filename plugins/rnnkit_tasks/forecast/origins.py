"""From which rows a table is forecast: each row once, or all that can be."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.forecast.asked import ALL
from rnnkit_tasks.forecast.frame import Frame
from rnnkit_tasks.forecast.learnt import Learnt

Rows = NDArray[np.int64]

ORIGINS = ("blocks", "every", "last")
"""As many steps from a row as there are up to the next block; all steps from every row; all from the last one."""


class Origins(NamedTuple):
    """M rows to be forecast."""

    ends: Rows
    """(M,) the last row that is read."""
    steps: Rows
    """(M,) how many rows later it is."""
    series: Rows
    """(M,) of which series."""


def origins_of(frame: Frame, learnt: Learnt, own: bool, asked: str) -> Origins:
    """Return what is forecast of a table.

    Of the run's own these are the rows kept for a test, of another all that a window can be read before; and those
    after the last one. Where something must be known ahead, they end with what is.

    Args:
        frame: the table.
        learnt: of the run.
        own: whether it is the run's own.
        asked: one of `ORIGINS`.
    """
    parts: list[tuple[Rows, Rows]] = []
    for at, (one, stop) in enumerate(zip(frame.series, frame.stops, strict=True)):
        first = one.rows.start + learnt.window - 1
        if own:
            ahead = 1 if learnt.steps == ALL else learnt.horizon
            first = max(first, learnt.cuts[at][1] - ahead + _offset(frame, learnt, at))
        last = stop - 1 if not learnt.ahead else min(stop - 1, frame.ends[at] - 1 - learnt.horizon)
        parts.append(_of_series(first, last, learnt, asked))
    ends, steps = (np.concatenate(several) for several in zip(*parts, strict=True))
    series = np.repeat(np.arange(len(parts)), [len(part) for part, _ in parts])
    return Origins(ends, steps, series)


def origin_in(row: int, learnt: Learnt) -> Origins:
    """Return what is forecast from one row."""
    steps = np.arange(1, learnt.horizon + 1) if learnt.steps == ALL else np.array([learnt.horizon])
    return Origins(np.full(len(steps), row), steps, np.zeros_like(steps))


def _offset(frame: Frame, learnt: Learnt, at: int) -> int:
    """Return how much later the rows of a series lie than in the table that was learnt, for what is known ahead."""
    return frame.series[at].rows.start - learnt.series[at].rows.start


def _of_series(first: int, last: int, learnt: Learnt, asked: str) -> tuple[Rows, Rows]:
    """Return the ends of windows from `first` to `last`, and the steps from each."""
    nothing = np.zeros(0, dtype=np.int64)
    if last < first:
        return nothing, nothing
    if learnt.steps != ALL:
        ends = np.arange(last if asked == "last" else first, last + 1)
        return ends, np.full(len(ends), learnt.horizon)
    steps = np.arange(1, learnt.horizon + 1)
    if asked != "blocks":
        ends = np.arange(last if asked == "last" else first, last + 1)
        return np.repeat(ends, len(steps)), np.tile(steps, len(ends))
    rest = (last - first) % learnt.horizon  # so that the last block begins in the last row
    ends = np.arange(first + rest, last + 1, learnt.horizon)
    made = np.repeat(ends, len(steps)), np.tile(steps, len(ends))
    return np.concatenate([np.full(rest, first), made[0]]), np.concatenate([steps[:rest], made[1]])
