"""Rows of a table that come line by line: their cells, checked, and their times."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from rnnkit.errors import DataError, nearest
from rnnkit_tasks.forecast.features import NUMBER
from rnnkit_tasks.forecast.gaps import POLICIES
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.column import Column
from rnnkit_tasks.table.dates import SWAPPED, dates
from rnnkit_tasks.table.decimals import value
from rnnkit_tasks.table.delimiter import spoken
from rnnkit_tasks.table.moments import known_moments
from rnnkit_tasks.table.order import ORDERS
from rnnkit_tasks.table.series import names_of
from rnnkit_tasks.table.table import SHOWN, Table, labelled
from rnnkit_tasks.table.undated import REMEDY, is_undated
from rnnkit_tasks.table.zoned_times import has_offset
from rnnkit_tasks.table.zones import universal

PLACE = "stdin"


class Row(NamedTuple):
    """A row of a table, or of a grid of even steps."""

    line: int
    """Its number; of a row that no line is of, that of the last one before."""
    cells: Mapping[str, str]
    """By column."""
    seconds: float = np.nan
    """When it was, since 1970; NaN: no column tells."""


class RowReader:
    """Reads rows as they come.

    Args:
        lines: each with its end or without.
        learnt: of the run.

    Raises:
        DataError: a line is unfit.
    """

    def __init__(self, lines: Iterable[str], learnt: Learnt) -> None:
        source = learnt.source
        self._lines = enumerate(lines, start=1)
        self._mark, self._decimal = source.delimiter or ",", source.decimal
        self._named, self._commented = source.header is not False, source.header is None
        self._learnt, self._inputs = learnt, learnt.roles.inputs
        self._numeric = {feature.name for feature in learnt.features if feature.kind == NUMBER}
        self._width = 0
        self._places: dict[str, int] = {}
        """Of each column, which cell of a line it is."""
        self.times: list[str] = []
        """The columns that tell the time; [] unless all are there that told it to the run."""
        self.judged: list[str] = []
        """Columns that hold nothing in a row that is known ahead; []: none is."""
        self._reading = learnt.reading
        """Of dates, "day first" or "month first", once a date has told; else ""."""

    def rows(self) -> Iterator[Row]:
        """Yield a row for each line that holds one; its time is not told yet."""
        rows = self._rows()
        first = self._heading(rows)
        for line, cells in rows if first is None else _after(first, rows):
            yield self._row(line, cells)

    def series(self, row: Row) -> str:
        """Return the name of the series that a row is of, "" where there is but one."""
        key = self._learnt.source.key
        if key is None:
            return ""
        column = Column(decimal=self._decimal)
        column.append([row.cells[key]])
        return names_of(Table(PLACE, {key: column}, [row.line]), key, self._learnt.source.merged)[0]

    def is_ahead(self, row: Row) -> bool:
        """Tell whether a row holds nothing but what is known ahead."""
        return bool(self.judged) and all(is_missing(row.cells[name]) for name in self.judged)

    def seconds(self, row: Row, before: float) -> float:
        """Return when a row was, in seconds since 1970; NaN: it does not say so.

        `before`: when the row before it was, which tells which of two hours is meant as clocks are put back.
        """
        if not self.times:
            return np.nan
        columns = {name: Column(decimal=self._decimal) for name in self.times}
        for name, column in columns.items():
            column.append([row.cells[name]])
        source = self._learnt.source
        table = Table(PLACE, columns, [row.line])
        self._tell_reading(row)
        seconds = known_moments(table, self.times, self._reading, source.dates is not None)
        if seconds is None:
            return np.nan
        if source.zone is not None and not has_offset([row.cells[self.times[-1]]]):
            seconds = universal(seconds, source.zone, before)
        return float(seconds[0])

    def _tell_reading(self, row: Row) -> None:
        """Find whether the day or the month comes first in dates, where the run has seen none of either form.

        Raises:
            DataError: it may be either.
        """
        name = self.times[0]
        times = None if self._reading else dates([row.cells[name]])
        if times is None:
            return
        if times.other:
            raise DataError(
                f"{PLACE}, line {row.line}, column {name!r}: {row.cells[name][:40]!r} may have the day or the month "
                "first, and the run has seen neither form; write it as 2024-01-31"
            )
        self._reading = times.note if times.note in SWAPPED else ""

    def _row(self, line: int, cells: list[str]) -> Row:
        """Return a line as a row.

        Raises:
            DataError: it is none of the table.
        """
        if self._named and labelled(PLACE, [cell.strip() for cell in cells], len(cells)) == list(self._places):
            raise DataError(f"{PLACE}, line {line}: the names stand here again; give them once, in the first line")
        if len(cells) != self._width:
            raise DataError(
                f"{PLACE}, line {line}: {len(cells)} cell(s), {self._width} in the first line; give all rows as many; "
                f"cells are cut at each {spoken(self._mark)}"
            )
        row = Row(line, {name: cells[at] for name, at in self._places.items()})
        self._check(row)
        return row

    def _check(self, row: Row) -> None:
        """Raise DataError for a cell that holds something else than it must."""
        gaps_allowed = self._learnt.missing != POLICIES[0] or self._learnt.source.every is not None
        for name in self._inputs:
            cell = row.cells[name]
            if name not in self._numeric or np.isfinite(value(cell, self._decimal)):
                continue
            if not is_missing(cell) or not (gaps_allowed or self.is_ahead(row)):
                raise unfit(row, name)
        for name in self._learnt.roles.time:
            if name in row.cells and is_undated(row.cells[name]) and self._learnt.source.order != ORDERS[0]:
                cell = row.cells[name]
                raise DataError(f"{PLACE}, line {row.line}, column {name!r}: {cell[:40]!r} is no date; {REMEDY}")

    def _heading(self, rows: Iterator[tuple[int, list[str]]]) -> tuple[int, list[str]] | None:
        """Take the first line, and return it where it holds no names.

        Raises:
            DataError: a column is not there.
        """
        first = next(rows, None)
        if first is None:
            raise DataError(f"{PLACE} has no line; give a table with the columns that the run reads")
        roles, source = self._learnt.roles, self._learnt.source
        names = [cell.strip() for cell in first[1]]
        labels = labelled(PLACE, names if self._named else [], len(first[1]))
        places = {name: at for at, name in enumerate(labels)}
        key = [source.key] if source.key is not None else []
        for name in (*self._inputs, *key, *(roles.time if roles.calendar or source.every else ())):
            if name not in places:
                has = ", ".join([*places][:SHOWN]) + (", ..." if len(places) > SHOWN else "")
                raise DataError(
                    f"{PLACE}, line {first[0]}: no column {name!r}{nearest(name, places)}, which the run reads; there "
                    f"are {has}; cells are cut at each {spoken(self._mark)}"
                )
        self._width, self._places = len(first[1]), places
        self.times = roles.time if all(name in places for name in roles.time) else []
        if self._learnt.ahead:
            apart = {*roles.ahead, *roles.not_forecast}  # what counts the rows goes on in those ahead
            self.judged = [name for name in dict.fromkeys([*self._inputs, *roles.targets]) if name in places]
            self.judged = [name for name in self.judged if name not in apart]
        return None if self._named else first

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the cells of each line that is not blank and no comment, with its number.

        Of a table whose names stood in a comment, the first comment that has them all is a line too.
        """
        begun = False
        for at, line in self._lines:
            text = line.rstrip("\r\n").removeprefix("\ufeff" if at == 1 else "")
            if self._commented and not begun and text.startswith("#"):
                names = [name.strip() for name in text.lstrip("#").split(self._mark)]
                text = text.lstrip("#") if {*self._inputs} <= {*names} else ""
            if not text.strip() or text.startswith("#"):
                continue
            begun = True
            try:
                (cells,) = csv.reader([text], delimiter=self._mark, skipinitialspace=True, strict=True)
            except (csv.Error, ValueError) as error:
                raise DataError(f"{PLACE}, line {at}: {error}; correct it") from None
            yield at, cells


def unfit(row: Row, name: str, why: str = "") -> DataError:
    """Return the error of a cell that holds no number."""
    cell = row.cells[name]
    wrong = f"{cell[:40]!r} is not a finite number" if cell.strip() else "the cell is empty"
    return DataError(f"{PLACE}, line {row.line}, column {name!r}: {wrong}{why}; correct it")


def _after(first: tuple[int, list[str]], rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rows
