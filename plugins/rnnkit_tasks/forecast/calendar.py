"""Parts of the date as inputs: the hour of the day, the day of the week, the time of the year."""

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.table.order import UNITS, Time
from rnnkit_tasks.table.zones import local

Numbers = NDArray[np.float64]

PERIODS = {"hour": UNITS["day"], "weekday": UNITS["week"], "year": UNITS["year"]}
PARTS = tuple(PERIODS)
SAID = {"hour": "hour of the day", "weekday": "day of the week", "year": "time of the year"}
FACES = ("sine", "cosine", "weekend")
"""What a part is written as: a place on a circle, and of the day of the week whether it is Saturday or Sunday."""

TIMES = 2
"""Of its period, as many must lie in the rows that train for a part to be of use."""

MONDAY = 4 * UNITS["day"]
SATURDAY = 5 * UNITS["day"]


def useful(time: Time | None, training: NDArray[np.int64]) -> tuple[str, ...]:
    """Return the parts that rows go through twice or more while they train, and that more than one row has."""
    if time is None:
        return ()
    seconds = time.seconds[training]
    seconds = seconds[np.isfinite(seconds)]
    steps = np.diff(seconds)
    steps = steps[steps > 0]
    if not len(steps):
        return ()
    step, reach = float(np.median(steps)), float(seconds.max() - seconds.min())
    return tuple(part for part, period in PERIODS.items() if 2 * step < period and TIMES * period <= reach)


def faces(part: str) -> tuple[str, ...]:
    """Return what a part is written as."""
    return FACES if part == "weekday" else FACES[:2]


def calendar(time: Time | None, rows: int, part: str, face: str) -> Numbers:
    """Return a face of a part of the date of each row (N,), in local time; NaN where there is no date."""
    if time is None:
        return np.full(rows, np.nan)
    seconds = local(time.seconds, time.zone) if time.zone else time.seconds
    if part == "year":
        years = np.floor(np.nan_to_num(seconds) / UNITS["day"]).astype(np.int64).astype("datetime64[D]")
        begins = years.astype("datetime64[Y]")
        first, last = (at.astype("datetime64[s]").astype(np.float64) for at in (begins, begins + 1))
        place = np.where(np.isfinite(seconds), (seconds - first) / (last - first), np.nan)
    else:
        place = (seconds - (MONDAY if part == "weekday" else 0.0)) % PERIODS[part] / PERIODS[part]
    if face == "weekend":
        return np.where(np.isfinite(place), (place * UNITS["week"] >= SATURDAY).astype(np.float64), np.nan)
    return np.asarray((np.sin if face == "sine" else np.cos)(2 * np.pi * place), dtype=np.float64)
