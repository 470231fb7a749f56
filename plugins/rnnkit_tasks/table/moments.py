"""Which columns of a table tell the time of its rows."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError
from rnnkit_tasks.table.dates import SWAPPED, Times, dates
from rnnkit_tasks.table.order import Time
from rnnkit_tasks.table.stamps import counter, is_year, stamped
from rnnkit_tasks.table.table import Table
from rnnkit_tasks.table.unread import unread

SEVERAL = "dates in several forms"
UNREAD = "dates that cannot be read"

PARTS = {
    "month": ("month", "mnth", "mo", "mm"),
    "day": ("day", "dy", "dd", "day of month", "day_of_month"),
    "hour": ("hour", "hr", "hh"),
}
"""What columns beside a year's are called."""


def moments(
    table: Table, left_out: Iterable[str] = (), reading: str = "", asked: bool = False
) -> tuple[Time | None, dict[str, str]]:
    """Find the columns that tell the time.

    Args:
        table: as it is read.
        left_out: columns that are not looked at.
        reading: "day first" or "month first", where that is known.
        asked: whether it was asked for, so that dates which can only be the other are an error.

    Returns: the time of the rows, if a column tells it; and what else of time there is, by name.

    Raises:
        DataError: dates cannot be read as asked.
    """
    known: dict[str, Times] = {}
    unknown: dict[str, str] = {}
    for name, column in table.columns.items():
        if name in left_out:
            continue
        if 2 * len(column.odd_cells) > column.rows:
            times = dates(column.cells(), reading, asked)
            if asked and (times is None or times.note == "several forms"):
                _check_asked(table, name, reading)
            if times is not None:
                known[name] = times
            elif unread(column.cells()) is not None:
                unknown[name] = UNREAD
        elif column.regular and (seconds := stamped(name, column.numbers)) is not None:
            known[name] = Times(seconds, "")
    whys = unknown | {
        name: "times of day" if times.of_day else SEVERAL if times.note == "several forms" else "dates"
        for name, times in known.items()
    }
    day = next((name for name, why in whys.items() if why == "dates"), None)
    if day is not None:
        clock = next((name for name, times in known.items() if times.of_day), None)
        time = Time([day], known[day].seconds, known[day].note, other="" if asked else known[day].other)
        if clock is not None and (np.diff(time.seconds) == 0).any():
            time = time._replace(names=[day, clock], seconds=time.seconds + known[clock].seconds)
        return time, whys
    return _years(table, left_out), whys


def known_moments(
    table: Table, names: Sequence[str], reading: str = "", asked: bool = False
) -> NDArray[np.float64] | None:
    """Return the times (N,) of rows, in seconds since 1970, by the columns that are known to tell them; None: by none.

    Few rows will do, or one: what `moments` tells of many has been told.

    Args:
        table: whose rows these are.
        names: of the columns, the date or the year first, then times of day, or months, days and hours.
        reading: "day first" or "month first", where that is known.
        asked: whether it was asked for.

    Raises:
        DataError: dates cannot be read as asked.
    """
    first, *others = names
    columns = {name: table.columns[name] for name in names}
    if columns[first].regular:
        seconds = stamped(first, columns[first].numbers, known=True)
        if seconds is None and all(column.regular for column in columns.values()):
            seconds = _of_parts({name: column.numbers for name, column in columns.items()}, first).seconds
            others = []
    else:
        times = dates(columns[first].cells(), reading, asked)
        if times is None and asked:
            _check_asked(table, first, reading)
        seconds = None if times is None else times.seconds
    for name in others:
        clock = dates(columns[name].cells())
        seconds = None if seconds is None or clock is None else seconds + clock.seconds
    return seconds


def _check_asked(table: Table, name: str, reading: str) -> None:
    """Raise DataError if a column has dates by another reading than the one that is asked for."""
    column = table.columns[name]
    cells = [cell.strip() for cell in column.cells()]
    times = dates(cells)
    if times is None or times.note not in SWAPPED or times.note == reading:
        return
    row = next(at for at, cell in enumerate(cells) if dates([cell]) and not dates([cell], reading, asked=True))
    raise DataError(
        f"{table.source}, line {table.lines[row]}, column {name!r}: {cells[row][:40]!r} is no date with the "
        f"{reading.split()[0]} first, as dates={reading.replace(' ', '-')} asks; leave dates out, or correct the cell"
    )


def _years(table: Table, left_out: Iterable[str]) -> Time | None:
    """Find a column of years, and a month, day and hour beside it."""
    regular = {name: c.numbers for name, c in table.columns.items() if c.regular and c.rows and name not in left_out}
    year = next((name for name, numbers in regular.items() if is_year(name, numbers)), None)
    if year is None:
        return None
    parts = {name: n for name, n in regular.items() if counter(name, n) == "a part of the date"}
    return _of_parts({year: regular[year], **parts}, year)


def _of_parts(regular: Mapping[str, NDArray[np.float64]], year: str) -> Time:
    """Return the time that a column of years tells, and those of months, days and hours, by their names."""
    months, names = (regular[year] - 1970) * 12, [year]
    named = {word: next((n for n in regular if n.lower() in words), None) for word, words in PARTS.items()}
    if named["month"]:
        months, names = months + regular[named["month"]] - 1, [*names, named["month"]]
    seconds = months.astype(np.int64).astype("datetime64[M]").astype("datetime64[s]").astype(np.float64)
    if named["month"] and named["day"]:
        seconds, names = seconds + 86400 * (regular[named["day"]] - 1), [*names, named["day"]]
        if named["hour"]:
            seconds, names = seconds + 3600 * regular[named["hour"]], [*names, named["hour"]]
    return Time(names, seconds)
