"""Rows of a table that come line by line, and the window that ends in each."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError, nearest
from rnnkit_tasks.table.cells import number
from rnnkit_tasks.table.column import Column
from rnnkit_tasks.table.delimiter import spoken
from rnnkit_tasks.table.moments import moments
from rnnkit_tasks.table.order import Time
from rnnkit_tasks.table.source import Source
from rnnkit_tasks.table.table import SHOWN, Table

PLACE = "stdin"


class Window(NamedTuple):
    """The last rows that came."""

    place: str
    """Where the last one stood."""
    numbers: NDArray[np.float64]
    """(window, C) of the inputs."""
    table: Table
    """The columns of the time; without any, row numbers."""
    time: Time | None
    before: int
    """Rows that came before the window."""


class Stream:
    """Reads rows as they come.

    Args:
        lines: each with its end or without.
        source: how the run read its own table.
        inputs: names of the columns that are read.
        times: names of those that tell the time.
        window: rows of a window.
        reading: how dates are read where days and months could change places.

    Raises:
        DataError: a line is unfit, or there are too few rows.
    """

    def __init__(
        self,
        lines: Iterable[str],
        source: Source,
        inputs: Sequence[str],
        times: Sequence[str],
        window: int,
        reading: str = "",
    ) -> None:
        self._lines = enumerate(lines, start=1)
        self._mark = source.delimiter or ","
        self._named, self._commented = source.header is not False, source.header is None
        self._inputs, self._times, self._window, self._reading = inputs, times, window, reading

    def windows(self) -> Iterator[Window]:
        """Yield the window that ends in each row, from the first one that is full."""
        rows = self._rows()
        width, places, first = self._heading(rows)
        numbers: deque[list[float]] = deque(maxlen=self._window)
        texts: deque[list[str]] = deque(maxlen=self._window)
        times = [name for name in self._times if name in places]
        count = 0
        for line, cells in rows if first is None else _after(first, rows):
            if self._named and [cell.strip() for cell in cells] == list(places):
                raise DataError(f"{PLACE}, line {line}: the names stand here again; give them once, in the first line")
            if len(cells) != width:
                raise DataError(
                    f"{PLACE}, line {line}: {len(cells)} cell(s), {width} in the first line; give all rows as many; "
                    f"cells are cut at each {spoken(self._mark)}"
                )
            numbers.append([self._number(line, name, cells[places[name]]) for name in self._inputs])
            texts.append([cells[places[name]] for name in times])
            count += 1
            if count >= self._window:
                table, time = _timed(times, texts, self._reading)
                _check_order(f"{PLACE}, line {line}", time)
                yield Window(f"{PLACE}, line {line}", np.array(numbers), table, time, count - self._window)
        if count < self._window:
            raise DataError(
                f"{PLACE} ended after {count} row(s); the run forecasts from {self._window}, so give at least as many"
            )

    def _heading(
        self, rows: Iterator[tuple[int, list[str]]]
    ) -> tuple[int, dict[str, int], tuple[int, list[str]] | None]:
        """Return how many cells a row has, which is in which column, and the first line where it holds no names."""
        first = next(rows, None)
        if first is None:
            raise DataError(f"{PLACE} has no line; give a table with the columns that the run reads")
        names = [cell.strip() for cell in first[1]]
        names = [name or str(at + 1) for at, name in enumerate(names)] if self._named else []
        places = {name: at for at, name in enumerate(names or map(str, range(1, len(first[1]) + 1)))}
        for name in self._inputs:
            if name not in places:
                has = ", ".join([*places][:SHOWN]) + (", ..." if len(places) > SHOWN else "")
                raise DataError(
                    f"{PLACE}, line {first[0]}: no column {name!r}{nearest(name, places)}, which the run reads; there "
                    f"are {has}; cells are cut at each {spoken(self._mark)}"
                )
        return len(first[1]), places, None if self._named else first

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

    def _number(self, line: int, name: str, cell: str) -> float:
        value = number(cell)
        if not np.isfinite(value):
            wrong = f"{cell[:40]!r} is not a finite number" if cell.strip() else "the cell is empty"
            raise DataError(f"{PLACE}, line {line}, column {name!r}: {wrong}; correct it")
        return value


def _check_order(place: str, time: Time | None) -> None:
    """Raise DataError for rows most of which are older than the ones before; clocks that are put back do no harm."""
    if time is not None and len(time.seconds) > 1 and (np.diff(time.seconds) < 0).mean() > 0.5:
        raise DataError(f"{place}: the time column {' + '.join(time.names)!r} goes back; give the oldest row first")


def _after(first: tuple[int, list[str]], rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rows


def _timed(names: Sequence[str], texts: Sequence[Sequence[str]], reading: str) -> tuple[Table, Time | None]:
    """Return the columns of the time as a table, and what they say."""
    columns = {name: Column() for name in names} or {"": Column(np.arange(float(len(texts))))}
    for at, name in enumerate(names):
        columns[name].append([cells[at] for cells in texts])
    table = Table(PLACE, columns)
    return table, moments(table, reading=reading)[0] if names else None
