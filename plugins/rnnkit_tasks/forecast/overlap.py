"""Rows of a table that are not in the order of time: refused where its parts would overlap, and told where not."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError
from rnnkit_tasks.forecast.asked import Asked
from rnnkit_tasks.table.apart import OFTEN, apart
from rnnkit_tasks.table.order import ORDERS, UNITS
from rnnkit_tasks.table.series import Series
from rnnkit_tasks.table.source import Reading

Seconds = NDArray[np.float64]
Cuts = Sequence[tuple[int, int]]

CLOCK, NIGHT, SEASON = UNITS["h"], 4 * UNITS["h"], 90 * UNITS["day"]
"""What clocks are put back by, before which hour, and how long they then stay so at least."""

AS_THEY_STAND = f"give order={ORDERS[0]} to take the rows as they stand"


def check_overlap(reading: Reading, asked: Asked, series: Sequence[Series], cuts: Cuts) -> list[str]:
    """Return what is to be said of rows that are not in the order of time.

    Args:
        reading: the table.
        asked: for whether the rows are to be taken as they stand.
        series: its known rows.
        cuts: of each, the first row that validates, and the first one kept for a test.

    Raises:
        DataError: the parts of a series overlap in time, or several series without a key stand in each other's way.
    """
    time, notes = reading.time, []
    if time is None:
        return []
    overlapping = [at for at, one in enumerate(series) if _overlap(time.seconds, one, cuts[at])]
    as_asked = asked.source.order == ORDERS[0]
    if overlapping and not as_asked:
        raise _refused(reading, asked, series[overlapping[0]])
    if overlapping:
        notes.append("some rows that train or validate are later than rows of the part behind (as asked)")
    if asked.key is not None:
        return notes + told_back(reading, series)
    repeated = _repeats(time.seconds)
    words, numbers = _apart(reading, asked) if repeated else ([], [])
    if words and not as_asked:
        raise DataError(
            f"{reading.table.source}: time column {_called(reading)} repeats {repeated} time(s), and never where "
            f"{words[0]!r} is the same, so rows of several series seem to stand there; give key={words[0]} if that "
            f"tells them apart, or {AS_THEY_STAND}"
        )
    if not words and numbers:
        notes.append(f"times never repeat where {numbers[0]!r} is the same; if that tells series apart, give key")
    return notes


def told_back(reading: Reading, series: Sequence[Series]) -> list[str]:
    """Say where the times of one series or several repeat or go back."""
    steps = list(_steps(reading, series))
    notes = []
    for what, rows in (
        ("repeat(s)", [rows[change == 0] for change, rows in steps]),
        ("step(s) back", [rows[change < 0] for change, rows in steps]),
    ):
        found = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
        if len(found):
            notes.append(f"{len(found)} {what} in time, the first in line {reading.table.lines[int(found[0])]}")
    return notes


def _steps(reading: Reading, series: Sequence[Series]) -> Iterator[tuple[Seconds, NDArray[np.int64]]]:
    """Yield of each series its steps in time, and the rows after them."""
    for _, rows in series:
        seconds = np.zeros(0) if reading.time is None else reading.time.seconds[rows.start : rows.stop]
        known = np.flatnonzero(np.isfinite(seconds))
        yield np.diff(seconds[known]), rows.start + known[1:]


def _overlap(seconds: Seconds, one: Series, cuts: tuple[int, int]) -> bool:
    """Tell whether a row is later than one of a part behind it; clocks that are put back do no harm."""
    rows = range(one.rows.start, one.rows.stop)
    mine = _without_clocks(seconds[rows.start : rows.stop])
    for cut in (cuts[0] - rows.start, cuts[1] - rows.start):
        before, after = mine[:cut][np.isfinite(mine[:cut])], mine[cut:][np.isfinite(mine[cut:])]
        if len(before) and len(after) and before.max() > after.min():
            return True
    return False


def _without_clocks(seconds: Seconds) -> Seconds:
    """Return times that go on where a clock was put back by an hour at night; others stay as they are."""
    known = np.flatnonzero(np.isfinite(seconds))
    steps = np.diff(seconds[known])
    if not (steps < 0).any() or not (steps > 0).any():
        return seconds
    usual = float(np.median(steps[steps > 0]))
    put_back = (np.abs(steps - (usual - CLOCK)) < 1) & (seconds[known[1:]] % UNITS["day"] < NIGHT)
    if put_back.sum() > 1 + np.ptp(seconds[known]) / SEASON:
        return seconds
    made = seconds.copy()
    made[known[1:]] += CLOCK * np.cumsum(put_back)
    return made


def _repeats(seconds: Seconds) -> int:
    """Return how many rows have the time of the one before, where these are many; else 0."""
    steps = np.diff(seconds[np.isfinite(seconds)])
    repeats = int((steps == 0).sum())
    return repeats if repeats > OFTEN * len(steps) else 0


def _refused(reading: Reading, asked: Asked, one: Series) -> DataError:
    """Return the error of a series whose parts overlap."""
    table = reading.table
    change, rows = next(_steps(reading, [one]))
    back = rows[change < 0]
    source = table.source if asked.key is None else f"{table.source}, series {one.name!r}"
    words, numbers = _apart(reading, asked) if asked.key is None else ([], [])
    remedy = (
        "sort the rows by time" if asked.key else "sort the rows by time, or name the column that tells series apart"
    )
    if words or numbers:
        name = [*words, *numbers][0]
        remedy = f"give key={name}, by which the rows of each series go forth"
    elif not asked.key:
        remedy += " (key)"
    return DataError(
        f"{source}: time column {_called(reading)} goes back {len(back)} time(s), first in line "
        f"{table.lines[int(back[0])]}, so rows that train or validate would be later than rows of the part behind; "
        f"{remedy}, or {AS_THEY_STAND}"
    )


def _apart(reading: Reading, asked: Asked) -> tuple[list[str], list[str]]:
    """Return the columns of words, and of whole numbers, that may tell series apart."""
    return apart(reading.table, reading.time, [*reading.whys, *asked.leave_out])


def _called(reading: Reading) -> str:
    return " + ".join(map(repr, reading.time.names if reading.time else []))
