"""Rows at even steps in time, made of rows at any: numbers of one step are averaged, steps without a row are empty."""

from collections.abc import Collection, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError
from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.column import Column, column_of, unlike_numbers
from rnnkit_tasks.table.grid import Grid
from rnnkit_tasks.table.order import Time
from rnnkit_tasks.table.series import Series, texts
from rnnkit_tasks.table.table import Table
from rnnkit_tasks.table.written_times import Writer
from rnnkit_tasks.table.zoned_times import iso_in, offset_in, writer_in

WORDS = ("text", "yes/no")
"""What a column may hold whose last cell stands for a step, as `unlike_numbers` says."""

MOST = 20_000_000
"""Steps of a table."""


def resampled(
    table: Table, time: Time, series: Sequence[Series], grid: Grid, key: str | None, words: Collection[str] = ()
) -> tuple[Table, Time, list[Series]]:
    """Return a table with a row a step from the first to the last of each series.

    Numbers of one step are averaged, of words the last one stands, as in columns that were of `words` to a run, such as
    yes and no, and may hold but 1 and 0 now. A step without rows has empty cells, but for its time and key. The times
    are those at which steps begin.

    Raises:
        DataError: a series goes over too many steps.
    """
    numbers = np.where(np.isfinite(time.seconds), grid.holding(np.nan_to_num(time.seconds)), -(2**62))
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
                f"{table.source}: its times go over more than {MOST:,} steps of {grid.step.text}; give a longer one"
            )
        places[rows.start : rows.stop] = np.where(at == -(2**62), -1, at - first + total)
        made.append(Series(name, range(total, total + count)))
        steps.append(first + np.arange(count))
        total += count
    if not made:
        raise DataError(f"{table.source} has no row with a date; every needs their times")
    seconds = np.concatenate([grid.begins(part) for part in steps])
    last = _last_rows(places, made)
    worded = {name for name in table.columns if name in words or unlike_numbers(table.columns[name]) in WORDS}
    columns = {name: (_lasts if name in worded else _means)(table, name, places, total) for name in table.columns}
    columns |= {name: times(table, name, time, seconds, last) for name in time.names}
    if key is not None:
        columns[key] = Column.of(np.full(total, np.nan), {row: one.name for one in made for row in one.rows})
    filled = np.bincount(places[places >= 0], minlength=total)
    table.notes.append(
        f"a row every {grid.step.text} (as asked): {int((filled == 0).sum())} of {total} had none and are empty, "
        f"{int((filled > 1).sum())} are the mean of several"
        + (f", {undated} without a date left out" if undated else "")
    )
    table.notes += _short_end(filled, made)
    lines = _lines(table, [name for name in table.columns if name not in worded], places, last)
    even = Table(table.source, columns, lines, table.delimiter, table.header, table.notes, table.decimal)
    even.step = grid.step.text
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


def _lasts(table: Table, name: str, places: NDArray[np.int64], total: int) -> Column:
    """Return of each step the last cell that is there."""
    filled = {
        place: cell
        for place, cell in zip(places.tolist(), texts(table, name), strict=True)
        if place >= 0 and not is_missing(cell)
    }
    return column_of([filled.get(step, "") for step in range(total)])


def _means(table: Table, name: str, places: NDArray[np.int64], total: int) -> Column:
    """Return of each step the mean of the numbers that are there; the first cell that is unfit stands in its step."""
    column = table.columns[name]
    known = (places >= 0) & np.isfinite(column.numbers)
    counts = np.bincount(places[known], minlength=total)
    sums = np.bincount(places[known], weights=column.numbers[known], minlength=total)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    odd = dict.fromkeys(np.flatnonzero(counts == 0).tolist(), "")
    for row, cell in _unfit(column, places):
        step = int(places[row])
        means[step], odd[step] = np.nan, cell
    return Column.of(means, odd)


def _unfit(column: Column, places: NDArray[np.int64]) -> list[tuple[int, str]]:
    """Return row and cell of the first that holds neither a number nor what stands for one that is missing, if any."""
    odd = zip(column.odd_rows, column.odd_cells, strict=True)
    return [*islice(((row, cell) for row, cell in odd if places[row] >= 0 and not is_missing(cell)), 1)]


def _lines(table: Table, numeric: Sequence[str], places: NDArray[np.int64], last: NDArray[np.int64]) -> list[int]:
    """Return of each step (M,) the line that it is named by: of its first cell that is unfit, else of its last row."""
    lines = np.array(table.lines)
    chosen = lines[last]
    for name in numeric:
        for row, _ in _unfit(table.columns[name], places):
            chosen[places[row]] = lines[row]
    made: list[int] = chosen.tolist()
    return made


def _last_rows(places: NDArray[np.int64], series: Sequence[Series]) -> NDArray[np.int64]:
    """Return of each cell (M,) the row that came last, in it or before it; `places` (N,) are the cells of rows."""
    last = np.zeros(series[-1].rows.stop, dtype=np.int64)
    last[places[places >= 0]] = np.flatnonzero(places >= 0)
    for _, rows in series:
        part = last[rows.start : rows.stop]
        np.maximum.accumulate(part, out=part)
    return last


def times(table: Table, name: str, time: Time, seconds: NDArray[np.float64], last: NDArray[np.int64]) -> Column:
    """Return times (M,) as the column writes them; else as 2024-01-31 13:45:10, which the first of several columns has.

    Where cells have offsets from UTC and no zone is known, each has that of the row `last` (M,) of the table.
    """
    cells, beside = texts(table, name), texts(table, time.names[-1])
    ends = [offset_in(cell) for cell in beside] if not time.zone and offset_in(beside[-1]) else [""] * len(cells)
    writers: dict[str, Writer] = {}
    for end in dict.fromkeys(ends):
        rows = [row for row, other in enumerate(ends) if other == end] if len({*ends}) > 1 else range(len(cells))
        alike = [cells[row] for row in rows]
        write = writer_in(time.zone, alike, time.seconds[rows], time.note, [beside[row] for row in rows])
        writers[end] = write or written_plainly(time.zone, alike[-1], name == time.names[0])
    return column_of([writers[ends[row]](at) for at, row in zip(seconds.tolist(), last.tolist(), strict=True)])


def written_plainly(zone: str, like: str, first: bool) -> Writer:
    """Return what writes times in a form of its own, where that of a column is not known: in the first of several."""
    return (lambda at: iso_in(zone, at, like)) if first else (lambda at: "")
