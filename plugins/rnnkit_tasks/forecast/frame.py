"""A table as numbers that a model reads and is judged by: its inputs, normalised, and what came."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rnnkit.errors import DataError, nearest
from rnnkit_tasks.forecast.features import numbers
from rnnkit_tasks.forecast.windows import Windows
from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.series import Series
from rnnkit_tasks.table.source import Reading

Numbers = NDArray[np.float64]


class Frame(NamedTuple):
    """Rows of one series or several."""

    windows: Windows
    series: list[Series]
    """All rows, those after the last known ones too, of which the table has but what is known ahead."""
    stops: list[int]
    """Of each series, the row after the last known one."""
    values: Numbers
    """(N, K) what came, in the units of the table; NaN where it is not known."""
    normal: Tensor
    """(N, K) the same, normalised."""
    ends: list[int]
    """Of each series, the row after the last one of which is known what is known ahead; `stops` or later."""


def known_stops(reading: Reading, judged: Sequence[str]) -> list[int]:
    """Return of each series the row after the last one in which one of the columns `judged` is known.

    Of these, columns without an empty cell tell nothing: they count the rows, or are known ahead.
    """
    table = reading.table
    empty: dict[str, NDArray[np.bool_]] = {}
    for name in judged:
        column = table.columns.get(name)
        cells = [] if column is None else zip(column.odd_rows, column.odd_cells, strict=True)
        if gaps := [row for row, cell in cells if is_missing(cell)]:
            empty[name] = np.zeros(table.rows, dtype=bool)
            empty[name][gaps] = True
    if not empty:
        return [one.rows.stop for one in reading.series]
    filled = np.logical_not(np.logical_and.reduce([*empty.values()]))
    stops = []
    for _, rows in reading.series:
        known = np.flatnonzero(filled[rows.start : rows.stop])
        stops.append(rows.start + int(known[-1]) + 1 if len(known) else rows.start)
    return stops


def ahead_ends(raw: Numbers, places: Sequence[int], series: Sequence[Series], stops: Sequence[int]) -> list[int]:
    """Return of each series the row after the last one of which the numbers of all columns `places` are known.

    Those up to `stops` are taken as they are, gaps too; of the rows after them, the last ones may lack some.
    """
    known: NDArray[np.bool_] = np.asarray(np.isfinite(raw[:, list(places)]).all(axis=1))
    ends = []
    for (_, rows), stop in zip(series, stops, strict=True):
        filled = np.flatnonzero(known[stop : rows.stop])
        ends.append(stop + int(filled[-1]) + 1 if len(filled) else stop)
    return ends


def restricted(reading: Reading, kept: Sequence[tuple[str, int]], ahead: bool) -> tuple[Reading, list[int]]:
    """Return the rows of a run's own table that it learnt from, and where their known part stops.

    Args:
        reading: the table as it is now.
        kept: names of the series, and how many rows each had.
        ahead: whether later rows are kept too, for what is known ahead.

    Raises:
        DataError: rows are gone.
    """
    source, there = reading.table.source, {one.name: one.rows for one in reading.series}
    for name, rows in kept:
        have = len(there.get(name, range(0)))
        if have < rows:
            what = f"series {name!r} of {source}" if name else source
            raise DataError(f"{what} has {have} row(s), {rows} when the run was made; give back that table")
    parts = [Series(name, there[name] if ahead else there[name][:rows]) for name, rows in kept]
    taken = reading.taken(parts)
    return taken, [one.rows.start + rows for one, (_, rows) in zip(taken.series, kept, strict=True)]


def truth(reading: Reading, targets: Sequence[str], stops: Sequence[int], leave: bool) -> Numbers:
    """Return what came (N, K), NaN where a cell is empty, the column is not there, or the row is beyond its stop."""
    table = reading.table
    made = np.full((table.rows, len(targets)), np.nan)
    for at, name in enumerate(targets):
        if name in table.columns:
            made[:, at] = numbers(table, name, leave)
    for (_, rows), stop in zip(reading.series, stops, strict=True):
        made[stop : rows.stop] = np.nan
    return made


def with_ahead(normal: Numbers, ahead: Sequence[int], horizon: int, series: Sequence[Series]) -> Numbers:
    """Return inputs (N, C) and beside them those that are known ahead of each of the next `horizon` rows.

    NaN where there is no such row.
    """
    if not ahead:
        return normal
    later = normal[:, list(ahead)]
    parts = [normal]
    for step in range(1, horizon + 1):
        shifted = np.full_like(later, np.nan)
        for _, rows in series:
            if len(rows) > step:
                shifted[rows.start : rows.stop - step] = later[rows.start + step : rows.stop]
        parts.append(shifted)
    return np.concatenate(parts, axis=1)


def check_columns(reading: Reading, wanted: Sequence[str], shown: str) -> None:
    """Raise DataError for the first column that a run reads and a table lacks; `shown` says what it has."""
    for name in wanted:
        if name not in reading.table.columns:
            raise DataError(
                f"{reading.table.source} has no column {name!r}{nearest(name, reading.table.columns)}, {shown}"
            )
