"""Tables of numbers in text files: delimiter-separated values, with or without a line of names."""

import csv
import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError, UsageError, nearest
from rnnkit_tasks._text import TextFile

DELIMITERS = "\t;|,"
SHOWN = 12  # names of columns in a message
QUOTED = re.compile('"[^"]*"')

Row = tuple[int, list[str]]
"""The number of its line in the file, and its cells."""


class Column:
    """The numbers of a column, and the first cell that is no finite one."""

    def __init__(self, numbers: Iterable[float] = ()) -> None:
        self.numbers = array("d", numbers)
        self.numeric = len(self.numbers) > 0
        self.fault: tuple[int, str] | None = None

    def insert(self, at: int, line: int, cell: str) -> None:
        """Put a cell in at row `at`: the last, or the first."""
        number = _number(cell)
        self.numbers.insert(at, number)
        if math.isfinite(number):
            self.numeric = True
        elif self.fault is None or at == 0:
            self.fault = line, cell


class Table:
    """Columns by name.

    Args:
        source: what to call the table in messages.
        columns: all of one length.
    """

    def __init__(self, source: str, columns: Mapping[str, Column]) -> None:
        self.source = source
        self.columns = columns

    def numeric(self) -> list[str]:
        """Name the columns that have a number in some row.

        Raises:
            DataError: there are none.
        """
        names = [name for name, column in self.columns.items() if column.numeric]
        if not names:
            raise DataError(f"{self.source} has no column of numbers; write them as 1.5 or 2e-3, or name the delimiter")
        return names

    def numbers(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Give the columns of these names: (rows, names).

        Raises:
            UsageError: there is no such column.
            DataError: one has a cell that is no finite number.
        """
        for name in names:
            if name not in self.columns:
                known = ", ".join([*self.columns][:SHOWN]) + (", ..." if len(self.columns) > SHOWN else "")
                raise UsageError(f"{self.source} has no column {name!r}{nearest(name, self.columns)}; it has {known}")
            fault = self.columns[name].fault
            if fault is not None:
                line, cell = fault
                wrong = f"{cell[:40]!r} is not a finite number" if cell.strip() else "the cell is empty"
                raise DataError(
                    f"{self.source}, line {line}, column {name!r}: {wrong}; correct it, or leave the column out"
                )
        return np.stack([np.array(self.columns[name].numbers) for name in names], axis=1)


def read_table(path: Path, delimiter: str | None = None) -> Table:
    """Read a table from a UTF-8 text file, a row a line; blank lines are passed over.

    The first line holds names if some column has a word there and a number below. Without names, columns are called by
    their places: "1", "2", ...

    Args:
        path: of the file.
        delimiter: between cells; None: the first of tab, semicolon, bar and comma that the first line has.

    Raises:
        DataError: the file is unreadable, empty or binary, rows have different widths, or columns share a name.
    """
    rows = _rows(path, delimiter)
    line, first = next(rows, (0, []))
    if not first:
        raise DataError(f"{path} has nothing but blank lines; give a table of numbers")
    columns = [Column() for _ in first]
    for below, cells in rows:
        if len(cells) != len(first):
            raise DataError(
                f"{path}, line {below}: {len(cells)} cell(s), {len(first)} in line {line}; give all rows as many"
            )
        for column, cell in zip(columns, cells, strict=True):
            column.insert(len(column.numbers), below, cell)
    places = [str(place) for place in range(1, len(first) + 1)]
    if any(column.numeric and _is_word(cell) for cell, column in zip(first, columns, strict=True)):
        names = [cell.strip() or place for cell, place in zip(first, places, strict=True)]
    elif any(map(_is_word, first)) and not columns[0].numbers:
        raise DataError(f"{path} has no rows below the names in line {line}; give a table of numbers")
    else:
        names = places
        for cell, column in zip(first, columns, strict=True):
            column.insert(0, line, cell)
    ((name, times),) = Counter(names).most_common(1)
    if times > 1:
        raise DataError(f"{path} has {times} columns called {name!r}; give each a name of its own")
    return Table(str(path), dict(zip(names, columns, strict=True)))


def _rows(path: Path, delimiter: str | None) -> Iterator[Row]:
    """Give the rows that are not blank."""
    lines = TextFile(path).lines()
    opening = []  # up to the first line that is not blank
    for line in lines:
        opening.append(line)
        if line.strip():
            break
    if delimiter is None:
        bare = QUOTED.sub("", "".join(opening[-1:])).strip("\n")
        delimiter = next((mark for mark in DELIMITERS if mark in bare), ",")
    reader = csv.reader(chain(opening, lines), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            if len(cells) > 1 or "".join(cells).strip():
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}; correct it, or give another file") from None


def _number(cell: str) -> float:
    """Read a number; NaN for all else."""
    try:
        return math.nan if "_" in cell else float(cell)  # Python reads 1_000, which no table means
    except ValueError:
        return math.nan


def _is_word(cell: str) -> bool:
    """Tell whether a cell holds something other than a number, finite or not."""
    return math.isnan(_number(cell)) and cell.strip().lstrip("+-").lower() not in ("", "nan")
