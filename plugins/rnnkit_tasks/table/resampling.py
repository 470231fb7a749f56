"""Rows at even steps in time, made of rows at any: numbers of one step are averaged, steps without a row are empty."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError, UsageError
from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.column import Column
from rnnkit_tasks.table.order import UNITS, Time
from rnnkit_tasks.table.series import Series, texts
from rnnkit_tasks.table.table import Table
from rnnkit_tasks.table.zoned_times import iso_in, writer_in

FORM = re.compile(r"(\d*)\s*([a-z]+)", re.IGNORECASE)
NAMES = {
    "s": "s second seconds sec secs",
    "min": "min minute minutes mins t",
    "h": "h hour hours hr hrs",
    "day": "d day days",
    "week": "w week weeks",
    "month": "month months mon",
    "quarter": "q quarter quarters",
    "year": "y year years",
}
MONTHS = {"month": 1, "quarter": 3, "year": 12}
MONDAY = 4 * UNITS["day"]
"""The first Monday of 1970, in seconds since its beginning."""

SHORT = ("s", "min", "h")
"""Steps that are as long whatever a clock says."""

MOST = 20_000_000
"""Steps of a table."""


class Step(NamedTuple):
    """An even step in time."""

    text: str
    number: int
    unit: str

    @classmethod
    def read(cls, text: object) -> "Step":
        """Read 15min, 1h, day, 2 weeks, month.

        Raises:
            UsageError: it is something else.
        """
        match = FORM.fullmatch(text.strip()) if isinstance(text, str) else None
        unit = next((u for u, names in NAMES.items() if match and match[2].lower() in names.split()), None)
        if match is None or unit is None or match[1] == "0":
            raise UsageError(
                f"task 'csv': every is {text!r}; it must be a step in time, such as 15min, 1h, day or month"
            )
        return cls(str(text).strip(), int(match[1] or 1), unit)

    def holding(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the number of the step that times (N,) lie in."""
        if self.unit in MONTHS:
            days = np.floor(seconds / UNITS["day"]).astype(np.int64).astype("datetime64[D]")
            months: NDArray[np.int64] = days.astype("datetime64[M]").astype(np.int64)
            return months // (MONTHS[self.unit] * self.number)
        first = MONDAY if self.unit == "week" else 0.0
        numbers: NDArray[np.int64] = np.floor((seconds - first) / (UNITS[self.unit] * self.number) + 1e-9).astype(
            np.int64
        )
        return numbers

    def begins(self, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when steps begin."""
        if self.unit in MONTHS:
            months = (numbers * MONTHS[self.unit] * self.number).astype("datetime64[M]")
            days: NDArray[np.float64] = months.astype("datetime64[D]").astype(np.float64)
            return days * UNITS["day"]
        first = MONDAY if self.unit == "week" else 0.0
        return np.asarray(numbers * UNITS[self.unit] * self.number + first, dtype=np.float64)


def resampled(
    table: Table, time: Time, series: Sequence[Series], every: Step, key: str | None
) -> tuple[Table, Time, list[Series]]:
    """Return a table with a row a step from the first to the last of each series.

    Numbers of one step are averaged, of words the last one stands; a step without rows has empty cells, but for its
    time and key. The times are those at which steps begin.

    Raises:
        DataError: a series goes over too many steps.
    """
    numbers = np.where(np.isfinite(time.seconds), every.holding(np.nan_to_num(time.seconds)), -(2**62))
    undated = int((~np.isfinite(time.seconds)).sum())
    made: list[Series] = []
    places = np.full(table.rows, -1)
    steps: list[NDArray[np.int64]] = []
    total = 0
    for name, rows in series:
        at = numbers[rows.start : rows.stop]
        dated = at[at != -(2**62)]
        if not len(dated):
            continue
        first, count = int(dated.min()), int(dated.max() - dated.min()) + 1
        if total + count > MOST:
            raise DataError(
                f"{table.source}: its times go over more than {MOST:,} steps of {every.text}; give a longer one"
            )
        places[rows.start : rows.stop] = np.where(at == -(2**62), -1, at - first + total)
        made.append(Series(name, range(total, total + count)))
        steps.append(first + np.arange(count))
        total += count
    if not made:
        raise DataError(f"{table.source} has no row with a date; every needs their times")
    seconds = every.begins(np.concatenate(steps))
    columns = {name: _column(table, name, places, total) for name in table.columns}
    columns |= {name: times(table, name, time, seconds) for name in time.names}
    if key is not None:
        columns[key] = Column.of(np.full(total, np.nan), {row: one.name for one in made for row in one.rows})
    filled = np.bincount(places[places >= 0], minlength=total)
    table.notes.append(
        f"a row every {every.text} (as asked): {int((filled == 0).sum())} of {total} had none and are empty, "
        f"{int((filled > 1).sum())} are the mean of several"
        + (f", {undated} without a date left out" if undated else "")
    )
    table.notes += _short_end(filled, made)
    lines = np.ones(total, dtype=np.int64)
    lines[places[places >= 0]] = np.array(table.lines)[places >= 0]
    lines = np.maximum.accumulate(lines)
    even = Table(table.source, columns, lines.tolist(), table.delimiter, table.header, table.notes, table.decimal)
    return even, time._replace(seconds=seconds), made


def _short_end(filled: NDArray[np.int64], series: Sequence[Series]) -> list[str]:
    """Say where the last step has fewer rows than usual, as it may not be over."""
    usual = int(np.median(filled[filled > 0]))
    short = [one for one in series if filled[one.rows.stop - 1] < usual]
    if not short:
        return []
    of = f" of series {short[0].name!r}" if short[0].name else ""
    return [
        f"the last step{of} has {filled[short[0].rows.stop - 1]} row(s), others {usual}; leave it out if it is not over"
    ]


def _column(table: Table, name: str, places: NDArray[np.int64], total: int) -> Column:
    column = table.columns[name]
    words = {row: cell for row, cell in zip(column.odd_rows, column.odd_cells, strict=True) if not is_missing(cell)}
    kept = places >= 0
    if words:
        cells = {
            int(places[row]): cell for row, cell in enumerate(texts(table, name)) if kept[row] and not is_missing(cell)
        }
        return Column.of(np.full(total, np.nan), {row: cells.get(row, "") for row in range(total)})
    known = kept & np.isfinite(column.numbers)
    counts = np.bincount(places[known], minlength=total)
    sums = np.bincount(places[known], weights=column.numbers[known], minlength=total)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return Column.of(means, dict.fromkeys(np.flatnonzero(counts == 0).tolist(), ""))


def times(table: Table, name: str, time: Time, seconds: NDArray[np.float64]) -> Column:
    """Return times as the column writes them; else as 2024-01-31 13:45:10, which the first of several columns has."""
    cells = texts(table, name)
    write = writer_in(time.zone, cells, time.seconds)
    if write is None:
        write = (lambda at: iso_in(time.zone, at, cells[-1])) if name == time.names[0] else (lambda at: "")
    column = Column()
    column.append([write(at) for at in seconds.tolist()])
    return column
