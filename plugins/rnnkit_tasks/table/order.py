"""The order of the rows in time: from the oldest to the newest, or what is to be said of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError

ORDERS = ("oldest-first", "newest-first")
LONGER = 1.5
"""Of the usual step; months differ by less."""

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0, "week": 604800.0, "month": 2629746.0, "year": 31556952.0}


class Time(NamedTuple):
    """The column, or the columns, that tell when a row was."""

    names: list[str]
    seconds: NDArray[np.float64]
    """(N,) since 1970; NaN where a cell holds no date."""
    note: str = ""
    zone: str = ""
    """Whose local times the cells are; "": of none whose clocks change."""
    other: str = ""
    """Which of days and months could come first as well, not being `note`: "day first", "month first"; else ""."""

    def head(self, rows: int) -> "Time":
        """Return the first rows."""
        return self._replace(seconds=self.seconds[:rows])


TURN = "give order=newest-first to turn the rows round, or order=oldest-first to take them as they stand"
PUT_BACK = "put the rows in the order in which the run learnt from them"


def check_order(source: str, time: Time, lines: Sequence[int], order: str | None, kept: bool = False) -> None:
    """Raise DataError if the newest row comes first and nobody said so, or somebody did and it does not.

    Args:
        source: what to call the table.
        time: of the rows as they stand in the file.
        lines: the number of each row's line.
        order: one of `ORDERS`, or None.
        kept: whether it is that of a finished run, which nobody can change.
    """
    rows = np.flatnonzero(np.isfinite(time.seconds))
    steps = np.diff(time.seconds[rows])
    forth, back = int((steps > 0).sum()), int((steps < 0).sum())
    name = " + ".join(map(repr, time.names))
    if order is None and back > 2 * forth:
        first, last = (f"{_moment(time.seconds[row])} in line {lines[row]}" for row in (rows[0], rows[-1]))
        raise DataError(f"{source}: time column {name} goes back, from {first} to {last}; {PUT_BACK if kept else TURN}")
    if order == "newest-first" and forth > 2 * back:
        remedy = PUT_BACK if kept else "leave order out"
        raise DataError(f"{source}: time column {name} goes forth, so the newest row comes last; {remedy}")


def told(time: Time, lines: Sequence[int]) -> str:
    """Say how dates are read, how far apart the rows are, and where they jump, repeat or go back.

    Args:
        time: of the rows as they train.
        lines: the number of each row's line in the file.
    """
    rows = np.flatnonzero(np.isfinite(time.seconds))
    steps = np.diff(time.seconds[rows])
    said = [read] if (read := reading_of(time)) else []
    forth = steps[steps > 0]
    usual = float(np.median(forth)) if len(forth) else 0.0
    if usual:
        said.append(f"{span(usual)} apart")
    for what, where in (
        ("jump(s)", steps > LONGER * usual),
        ("repeat(s)", steps == 0),
        ("step(s) back", steps < 0),
    ):
        if where.any():
            at = int(np.argmax(where))
            far = f" of {span(float(steps[at]))}" if what == "jump(s)" else ""
            said.append(f"{int(where.sum())} {what}, the first{far} in line {lines[rows[at + 1]]}")
    missing = len(time.seconds) - len(rows)
    if missing:
        at = int(np.argmax(~np.isfinite(time.seconds)))
        said.append(f"{missing} row(s) without a date, the first in line {lines[at]}")
    return ", ".join(said)


def reading_of(time: Time) -> str:
    """Say which of days and months is taken to come first, and if it could be the other."""
    if not time.other:
        return time.note
    return f"{time.note} ({time.other} is possible too: dates={time.other.replace(' ', '-')})"


def span(seconds: float) -> str:
    """Write a duration in the largest unit of which it has about a whole number, or at least one."""
    for unit, size in reversed(UNITS.items()):
        count = seconds / size
        whole = round(count)
        slack = 0.1 if unit in ("month", "year") else 2e-4
        if whole >= 1 and abs(count - whole) <= slack * min(whole, 3):
            return f"{whole} {unit}{'s' if (whole > 1 and len(unit) > 3) or (whole > 1 and unit == 'day') else ''}"
    return f"{seconds:.3g} s"


def _moment(seconds: float) -> str:
    return str(np.datetime64(int(seconds), "s")).replace("T", " ").removesuffix(" 00:00:00")
