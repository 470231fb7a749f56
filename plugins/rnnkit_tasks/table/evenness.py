"""How evenly dates follow each other: by one step in seconds, or in months, quarters or years of the calendar."""

import numpy as np
from numpy.typing import NDArray

DAY = 86400.0

Seconds = NDArray[np.float64]


def disorder(seconds: Seconds) -> tuple[int, int, int]:
    """Return how often rows (N,) go against their own direction, jump, and how many different steps they take."""
    known = seconds[np.isfinite(seconds)]
    steps = np.diff(known)
    against = min(int((steps > 0).sum()), int((steps < 0).sum()))
    return against, _uneven(known), len(np.unique(steps))


def _uneven(seconds: Seconds) -> int:
    """Return how many steps are not the most frequent one; rows of one time count once."""
    moved = seconds[np.append(True, np.diff(seconds) != 0)] if len(seconds) else seconds
    if len(moved) < 2:
        return 0
    days = np.floor(moved / DAY).astype(np.int64).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    size = _most_frequent(np.diff(months.astype(np.int64)))
    last = int((days - months.astype("datetime64[D]")).astype(np.int64).max())  # of the month, or its end if shorter
    first = (months[:-1] + size).astype("datetime64[D]")
    length = ((months[:-1] + size + 1).astype("datetime64[D]") - first).astype(np.int64)
    due = (first.astype(np.float64) + np.minimum(last, length - 1)) * DAY + moved[:-1] % DAY
    steps = np.diff(moved)
    by_seconds = int((steps != _most_frequent(steps)).sum())
    return min(by_seconds, int((moved[1:] != due).sum())) if size else by_seconds


def _most_frequent(steps: NDArray[np.generic]) -> np.generic:
    found, counts = np.unique(steps, return_counts=True)
    most: np.generic = found[np.argmax(counts)]
    return most
