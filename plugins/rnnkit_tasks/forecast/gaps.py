"""Numbers that are missing: what stands in their place, and that nothing is learnt from what lies ahead."""

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.table.series import Series

Numbers = NDArray[np.float64]

POLICIES = ("error", "forward", "interpolate", "mask")
"""Refuse the table; repeat the last one that was there; draw a line between neighbours; take the mean, and say so in an
input of its own."""


def forward(values: Numbers, series: list[Series], before: float = 0.0) -> Numbers:
    """Repeat in columns (N, C) the last number of the series that was there; `before` stands before the first."""
    at = np.where(np.isfinite(values), np.arange(len(values))[:, None], -1)
    for _, rows in series:
        part = at[rows.start : rows.stop]
        np.maximum.accumulate(part, axis=0, out=part)
    filled = np.take_along_axis(values, np.maximum(at, 0), axis=0)
    return np.where(at >= 0, filled, before)


def interpolated(values: Numbers, series: list[Series]) -> Numbers:
    """Draw a line in columns (N, C) between the neighbours of what is missing; at the ends, repeat the nearest."""
    filled = values.copy()
    for _, rows in series:
        part = filled[rows.start : rows.stop]
        places = np.arange(len(part))
        for column in part.T:
            known = np.isfinite(column)
            if known.any():
                column[~known] = np.interp(places[~known], places[known], column[known])
            else:
                column[:] = 0.0
    return filled


def gap_starts(values: Numbers, series: list[Series]) -> NDArray[np.int64]:
    """Return of each row and column (N, C) where the gap begins that the row lies in; the row after it, if in none."""
    starts = np.where(np.isfinite(values), np.arange(len(values))[:, None] + 1, 0)
    for _, rows in series:
        part = starts[rows.start : rows.stop]
        part[0] = np.maximum(part[0], rows.start)
        np.maximum.accumulate(part, axis=0, out=part)
    return starts
