"""Rows of a table that come line by line, and the window that ends in each."""

import csv
import logging
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from rnnkit.errors import DataError, nearest
from rnnkit_tasks.forecast.features import ANSWER, NUMBER
from rnnkit_tasks.forecast.gaps import POLICIES
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.forecast.shortfall import no_forecast
from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.column import Column
from rnnkit_tasks.table.decimals import value
from rnnkit_tasks.table.delimiter import spoken
from rnnkit_tasks.table.moments import moments
from rnnkit_tasks.table.order import ORDERS, Time
from rnnkit_tasks.table.series import Series, names_of, texts
from rnnkit_tasks.table.source import Reading
from rnnkit_tasks.table.table import SHOWN, Table, labelled
from rnnkit_tasks.table.undated import REMEDY, is_undated
from rnnkit_tasks.table.zoned_times import has_offset
from rnnkit_tasks.table.zones import universal

PLACE = "stdin"

log = logging.getLogger("rnnkit.tasks")

Row = tuple[int, list[str]]
"""The number of a line, and its cells."""


class Held:
    """The last rows of a series."""

    def __init__(self) -> None:
        self.rows: deque[Row] = deque()
        self.count = 0
        """Rows that have come."""
        self.gone: dict[str, str] = {}
        """By column, the last cell that was not empty of the rows that have left the window."""


class Window(NamedTuple):
    """The last rows that came of a series."""

    series: str
    """Its name; "" where there is but one."""

    place: str
    """Where the last one stood."""
    reading: Reading
    timed: Table
    """The columns of the time; without any, row numbers."""
    before: int
    """Rows that came before the window."""
    empty: tuple[str, ...]
    """Targets that are read and of which no row of it holds a number."""


class Stream:
    """Reads rows as they come.

    Args:
        lines: each with its end or without.
        learnt: of the run.

    Raises:
        DataError: a line is unfit, or there are too few rows.
    """

    def __init__(self, lines: Iterable[str], learnt: Learnt) -> None:
        source = learnt.source
        self._lines = enumerate(lines, start=1)
        self._mark, self._decimal = source.delimiter or ",", source.decimal
        self._named, self._commented = source.header is not False, source.header is None
        self._learnt, self._inputs = learnt, learnt.roles.inputs
        self._numeric = {feature.name for feature in learnt.features if feature.kind == NUMBER}
        self._filled = {feature.name for feature in learnt.features if feature.kind in (NUMBER, ANSWER)}
        self._held: dict[str, Held] = {}
        """By series."""

    def windows(self) -> Iterator[Window]:
        """Yield the window that ends in each row, from the first one that is full."""
        rows = self._rows()
        width, places, first = self._heading(rows)
        size = self._learnt.window
        for line, cells in rows if first is None else _after(first, rows):
            self._check(line, cells, width, places)
            series = self._series(line, cells, places)
            held = self._held.setdefault(series, Held())
            held.rows.append((line, cells))
            held.count += 1
            if len(held.rows) > size:
                self._leave(held, held.rows.popleft()[1], places)
            if held.count >= size:
                yield self._window(series, held, places)
        self._end()

    def _end(self) -> None:
        """Say which series had too few rows.

        Raises:
            DataError: all had.
        """
        size = self._learnt.window
        short = {name: held.count for name, held in self._held.items() if held.count < size}
        if len(short) == len(self._held):
            rows = max(short.values(), default=0)
            of = " of any series" if self._learnt.source.key is not None else ""
            raise DataError(
                f"{PLACE} ended after {rows} row(s){of}; the run forecasts from {size}, so give at least as many"
            )
        if short:
            log.warning("%s: %s", PLACE, no_forecast(short, size))

    def _series(self, line: int, cells: list[str], places: dict[str, int]) -> str:
        """Return the name of the series that a row is of."""
        key = self._learnt.source.key
        if key is None:
            return ""
        column = Column(decimal=self._decimal)
        column.append([cells[places[key]]])
        return names_of(Table(PLACE, {key: column}, [line]), key, self._learnt.source.merged)[0]

    def _window(self, series: str, held: Held, places: dict[str, int]) -> Window:
        """Return the rows that are held as a table."""
        rows, before = list(held.rows), held.count - len(held.rows)
        times = [name for name in self._learnt.roles.time if name in places]
        read = [name for name in self._learnt.roles.targets if name in self._inputs]
        empty = tuple(name for name in read if all(is_missing(cells[places[name]]) for _, cells in rows))
        columns = {name: Column(decimal=self._decimal) for name in dict.fromkeys([*self._inputs, *times])}
        for name, column in columns.items():
            cells = [cells[places[name]] for _, cells in rows]
            if is_missing(cells[0]) and name in held.gone:
                cells[0] = held.gone[name]
            column.append(cells)
        table = Table(PLACE, columns, [line for line, _ in rows])
        timed = Table(PLACE, {name: columns[name] for name in times} or {"": Column(np.arange(float(len(rows))))})
        asked = self._learnt.source.dates is not None
        time = moments(timed, (), self._learnt.reading, asked)[0] if times else None
        place = f"{PLACE}, line {rows[-1][0]}"
        _check_order(place, time)
        zone = self._learnt.source.zone
        if time is not None and zone is not None:
            known = has_offset(texts(timed, times[-1]))
            time = time._replace(seconds=time.seconds if known else universal(time.seconds, zone), zone=zone)
        reading = Reading(table, time, {}, [Series(series, range(len(rows)))])
        return Window(series, place, reading, timed, before, empty)

    def _leave(self, held: Held, cells: list[str], places: dict[str, int]) -> None:
        """Remember what a row held that leaves the window, where gaps are filled from before."""
        if self._learnt.missing in ("forward", "interpolate"):
            for name in self._filled:
                if not is_missing(cells[places[name]]):
                    held.gone[name] = cells[places[name]]

    def _check(self, line: int, cells: list[str], width: int, places: dict[str, int]) -> None:
        """Raise DataError for a line that is no row of the table."""
        if self._named and labelled(PLACE, [cell.strip() for cell in cells], len(cells)) == list(places):
            raise DataError(f"{PLACE}, line {line}: the names stand here again; give them once, in the first line")
        if len(cells) != width:
            raise DataError(
                f"{PLACE}, line {line}: {len(cells)} cell(s), {width} in the first line; give all rows as many; "
                f"cells are cut at each {spoken(self._mark)}"
            )
        for name in self._inputs:
            cell = cells[places[name]]
            if name not in self._numeric or np.isfinite(value(cell, self._decimal)):
                continue
            if self._learnt.missing == POLICIES[0] or not is_missing(cell):
                wrong = f"{cell[:40]!r} is not a finite number" if cell.strip() else "the cell is empty"
                raise DataError(f"{PLACE}, line {line}, column {name!r}: {wrong}; correct it")
        for name in self._learnt.roles.time:
            if name in places and is_undated(cells[places[name]]) and self._learnt.source.order != ORDERS[0]:
                cell = cells[places[name]]
                raise DataError(f"{PLACE}, line {line}, column {name!r}: {cell[:40]!r} is no date; {REMEDY}")

    def _heading(self, rows: Iterator[Row]) -> tuple[int, dict[str, int], Row | None]:
        """Return how many cells a row has, which is in which column, and the first line where it holds no names."""
        first = next(rows, None)
        if first is None:
            raise DataError(f"{PLACE} has no line; give a table with the columns that the run reads")
        names = [cell.strip() for cell in first[1]]
        labels = labelled(PLACE, names if self._named else [], len(first[1]))
        places = {name: at for at, name in enumerate(labels)}
        key = [self._learnt.source.key] if self._learnt.source.key is not None else []
        for name in (*self._inputs, *key, *(self._learnt.roles.time if self._learnt.roles.calendar else ())):
            if name not in places:
                has = ", ".join([*places][:SHOWN]) + (", ..." if len(places) > SHOWN else "")
                raise DataError(
                    f"{PLACE}, line {first[0]}: no column {name!r}{nearest(name, places)}, which the run reads; there "
                    f"are {has}; cells are cut at each {spoken(self._mark)}"
                )
        return len(first[1]), places, None if self._named else first

    def _rows(self) -> Iterator[Row]:
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


def _check_order(place: str, time: Time | None) -> None:
    """Raise DataError for rows most of which are older than the ones before; clocks that are put back do no harm."""
    if time is not None and len(time.seconds) > 1 and (np.diff(time.seconds) < 0).mean() > 0.5:
        raise DataError(f"{place}: the time column {' + '.join(time.names)!r} goes back; give the oldest row first")


def _after(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows
