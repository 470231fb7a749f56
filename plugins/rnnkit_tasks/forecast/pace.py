"""The pace of a table: how its rows follow each other in time, and when the next ones are due."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.table.order import UNITS, span
from rnnkit_tasks.table.source import Reading
from rnnkit_tasks.table.zones import local, universal

Seconds = NDArray[np.float64]

ENOUGH = 0.9
"""Of the steps in time, the share that must be of the pace: a gap or a repeat now and then is none of it."""

SLACK = 5e-4
"""Of a step: what rounding may take from a time that is written as a fraction of a day."""

DAY, WEEK = UNITS["day"], UNITS["week"]
FRIDAY = 4  # Monday is 0, as 1970 began on a Thursday


class Pace(NamedTuple):
    """A step in time that can be gone on with."""

    kind: str
    """"seconds", "months" or "weekdays": Monday to Friday."""
    size: float
    """How many of them."""
    day: int = 31
    """Of steps in months: the day of the month, or its last one where it is shorter."""

    @classmethod
    def found(cls, seconds: Seconds, zone: str = "") -> "Pace | None":
        """Find the pace of rows (N,), in seconds since 1970, NaN where there is no date; None: there is none.

        Days and longer steps are those of a clock of the zone, if one is given.
        """
        seconds = seconds[np.isfinite(seconds)]
        if len(seconds) < 2 or seconds[-1] <= seconds[0]:
            return None
        if zone and np.median(np.diff(seconds)) >= DAY:
            seconds = local(seconds, zone)
        step = float(np.median(np.diff(seconds)))
        if len(seconds) > 2 or step != round(step):
            even = np.diff(seconds)[np.abs(np.diff(seconds) - step) <= SLACK * step]
            step = float(even.mean()) if len(even) else step  # what is rounded is so up and down
        whole = round(step)
        step = float(whole) if whole and abs(step - whole) <= SLACK * step else step
        months = int(np.median(np.diff(_months(seconds))))
        paces = [cls("months", months, int(_day_of_month(seconds).max())), cls("seconds", step), cls("weekdays", 1)]
        return next((pace for pace in paces if pace.size > 0 and pace.fits(seconds)), None)

    @property
    def by_clock(self) -> bool:
        """Whether it is one of days or longer steps, which are those of a clock."""
        return self.kind != "seconds" or self.size % DAY == 0

    def fits(self, seconds: Seconds, enough: float = ENOUGH, zone: str = "") -> bool:
        """Tell whether rows go at this pace, at least a share of them; `zone` is that of the clock."""
        seconds = seconds[np.isfinite(seconds)]
        if zone and self.by_clock:
            seconds = local(seconds, zone)
        if len(seconds) < 2:
            return True
        due = self.next(seconds[:-1])
        near = np.abs(seconds[1:] - due) <= SLACK * np.abs(due - seconds[:-1]) + 1e-6
        return bool(near.mean() >= enough) and (self.kind != "weekdays" or bool((_weekday(seconds) <= FRIDAY).all()))

    def next(self, seconds: Seconds) -> Seconds:
        """Return when the rows after these (N,) are due."""
        if self.kind == "months":
            begins = ((_months(seconds) + int(self.size)) - 1970 * 12).astype("datetime64[M]")
            first = begins.astype("datetime64[D]")
            length = ((begins + 1).astype("datetime64[D]") - first).astype(np.int64)
            days = first.astype(np.float64) + np.minimum(self.day, length) - 1
            due: Seconds = days * DAY + seconds % DAY
            return due
        if self.kind == "weekdays":
            return seconds + DAY * np.where(_weekday(seconds) >= FRIDAY, 7 - _weekday(seconds), 1)
        return seconds + self.size

    def after(self, last: float, count: int, zone: str = "") -> Seconds:
        """Return when the `count` rows after the one at `last` are due; `zone` is that of the clock."""
        by_clock = bool(zone) and self.by_clock
        due = [local(np.array([last]), zone) if by_clock else np.array([last])]
        for _ in range(count):
            due.append(self.next(due[-1]))
        times = np.concatenate([*due[1:], np.zeros(0)])
        return universal(times, zone) if by_clock else times

    def season(self) -> tuple[int, str] | None:
        """Return the rows of the next season that is longer, and what it is: a day, a week or a year."""
        if self.kind == "weekdays":
            return 5, "a week"
        if self.kind == "months":
            return (12 // int(self.size), "a year") if self.size < 12 and 12 % self.size == 0 else None
        if self.size == DAY:
            return 7, "a week"
        if self.size == WEEK:
            return 52, "a year"
        return (round(DAY / self.size), "a day") if self.size < DAY and DAY % self.size < 1e-9 else None

    def __str__(self) -> str:
        if self.kind == "weekdays":
            return "1 weekday"
        if self.kind == "months":
            return span(self.size * UNITS["month"])
        return span(self.size)

    def to_json(self) -> list[Any]:
        """Return a list."""
        return list(self)

    @classmethod
    def from_json(cls, values: Any) -> "Pace | None":
        """Read what `to_json` returned, or None."""
        if values is None:
            return None
        kind, size, day = values
        if kind not in ("seconds", "months", "weekdays") or not size > 0 or type(day) is not int:
            raise ValueError("it has no pace of rows")
        return cls(kind, size, day)


def pace_of(reading: Reading) -> Pace | None:
    """Return the pace of a table's first series; None: it has none, or no column tells its time."""
    if reading.time is None:
        return None
    rows = reading.series[0].rows
    return Pace.found(reading.time.seconds[rows.start : rows.stop], reading.time.zone)


def _months(seconds: Seconds) -> NDArray[np.int64]:
    """Return months since the year 0."""
    months: NDArray[np.int64] = _dates(seconds).astype("datetime64[M]").astype(np.int64) + 1970 * 12
    return months


def _day_of_month(seconds: Seconds) -> NDArray[np.int64]:
    dates = _dates(seconds)
    days: NDArray[np.int64] = (dates - dates.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1
    return days


def _dates(seconds: Seconds) -> Any:
    return np.floor(seconds / DAY).astype(np.int64).astype("datetime64[D]")


def _weekday(seconds: Seconds) -> NDArray[np.int64]:
    days: NDArray[np.int64] = (np.floor(seconds / DAY).astype(np.int64) + 3) % 7
    return days
