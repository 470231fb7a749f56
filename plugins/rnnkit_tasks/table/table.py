"""Tables of numbers in text files: delimiter-separated values, with or without a line of names."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError, UsageError, nearest
from rnnkit_tasks.table.cells import is_missing, is_word, number, written
from rnnkit_tasks.table.column import Column
from rnnkit_tasks.table.decimals import asked_by, convention, told
from rnnkit_tasks.table.delimiter import spoken
from rnnkit_tasks.table.header import has_names
from rnnkit_tasks.table.obstacles import decimal_comma
from rnnkit_tasks.table.rows import Rows

SHOWN = 12  # names of columns in a message


class Table:
    """Columns by name.

    Args:
        source: what to call the table in messages.
        columns: all of one length.
        lines: the number of each row's line in the file; None: the table is of no file.
        delimiter: that the cells were cut at; "": they were not.
        header: whether its first line holds the names; None: it is to be told again.
        notes: on how it was read, for the summary.
        decimal: what decimals begin with, where thousands may have marks; None: with a point, and they have none.
    """

    def __init__(
        self,
        source: str,
        columns: Mapping[str, Column],
        lines: Sequence[int] | None = None,
        delimiter: str = "",
        header: bool | None = None,
        notes: Iterable[str] = (),
        decimal: str | None = None,
    ) -> None:
        self.source, self.columns, self.delimiter, self.header = source, columns, delimiter, header
        self.decimal = decimal
        self.rows = next(iter(columns.values())).rows
        self.lines = range(1, self.rows + 1) if lines is None else lines
        self.notes = list(notes)
        self.zones: dict[str, str] = {}
        """Of columns of times whose file names the zone that they are of: its name."""
        self.step = ""
        """Of rows that were brought to even steps in time, how long these are."""

    def turn(self) -> None:
        """Put the last row first."""
        for column in self.columns.values():
            column.turn()
        self.lines = self.lines[::-1]

    def column(self, name: str) -> Column:
        """Return a column.

        Raises:
            UsageError: there is none of the name.
        """
        if name not in self.columns:
            known = ", ".join([*self.columns][:SHOWN]) + (", ..." if len(self.columns) > SHOWN else "")
            raise UsageError(
                f"{self.source} has no column {name!r}{nearest(name, self.columns)}; it has {known}{self.cut()}"
            )
        return self.columns[name]

    def head(self, rows: int) -> "Table":
        """Return the first rows."""
        if rows >= self.rows:
            return self
        columns = {name: column.head(rows) for name, column in self.columns.items()}
        return self._with(columns, self.lines[:rows])

    def take(self, rows: NDArray[np.int64]) -> "Table":
        """Return these rows, in this order."""
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        return self._with(columns, [self.lines[row] for row in rows.tolist()])

    def _with(self, columns: Mapping[str, Column], lines: Sequence[int]) -> "Table":
        made = Table(self.source, columns, lines, self.delimiter, self.header, self.notes, self.decimal)
        made.zones, made.step = self.zones, self.step
        return made

    def numbers(self, names: Sequence[str], leave: bool = True) -> NDArray[np.float64]:
        """Return the columns of these names: (rows, names); `leave`: whether they may be left out instead.

        Raises:
            UsageError: there is no such column.
            DataError: one has a cell that is no finite number.
        """
        for name in names:
            if not self.column(name).regular:
                raise self.fault(name, leave)
        return np.stack([self.columns[name].numbers for name in names], axis=1)

    def fault(self, name: str, leave: bool = True) -> DataError:
        """Return the error of a column that is used, about its first cell that holds something else than a number.

        `leave`: whether the column may be left out instead.
        """
        column = self.columns[name]
        at = next((at for at, cell in enumerate(column.odd_cells) if not is_missing(cell)), 0)
        cell, line = column.odd_cells[at], self.lines[column.odd_rows[at]]
        wrong, remedy = "the cell is empty", "correct it"
        if cell.strip():
            wrong = f"{cell[:40]!r} is not a finite number"
            readings = written(cell)
            if math.isinf(number(cell)) and "inf" not in cell.lower():
                wrong, remedy = (
                    f"{cell[:40]!r} is not a finite number, being above 1.8e308",
                    "give the column in another unit",
                )
            elif readings is not None and len(cell) <= 40:
                remedy = f"write {' or '.join(readings[0])}{self._by_decimal(column) if leave else ''}"
        return self._refused(line, name, f"{wrong}; {remedy}", leave)

    def _by_decimal(self, column: Column) -> str:
        """Say which `decimal` would make numbers of all cells of a column; "" if none, or it was asked for."""
        ways = [] if self.decimal else asked_by(column.odd_cells, self.columns.values(), self.delimiter)
        said = " or ".join(f'decimal="{mark}" for {number:.15g}' for mark, number in ways)
        return f", or give {said}" if said else ""

    def gap(self, name: str, leave: bool = True) -> DataError:
        """Return the error of a column whose numbers must be there, about its first cell that is empty."""
        column = self.columns[name]
        row, cell = next(
            (row, cell.strip()) for row, cell in zip(column.odd_rows, column.odd_cells, strict=True) if is_missing(cell)
        )
        wrong = f"{cell!r} is not a finite number; correct it" if cell else "the cell is empty; correct it"
        if self.step:
            wrong = f"here is a step of {self.step} without a number; give a longer one (every)"
        policy = ", or fill gaps (missing=forward)" if leave else ""
        return self._refused(self.lines[row], name, wrong, leave, policy)

    def odd(self, row: int, name: str, wrong: str, leave: bool = True) -> DataError:
        """Return the error of a cell of which `wrong` says what is the matter."""
        return self._refused(self.lines[row], name, f"{wrong}; correct it", leave)

    def _refused(self, line: int, name: str, wrong: str, leave: bool, other: str = "") -> DataError:
        way_out = ", or leave the column out (leave_out)" if leave else ""
        return DataError(f"{self.source}, line {line}, column {name!r}: {wrong}{way_out}{other}{self.cut()}")

    def cut(self) -> str:
        """Say where the cells were cut, at the end of a sentence."""
        return f"; cells are cut at each {spoken(self.delimiter)}" if self.delimiter else ""


def read_table(
    path: Path, delimiter: str | None = None, header: bool | None = None, decimal: str | None = None
) -> Table:
    """Read a table from a UTF-8 text file, a row a line; blank lines, and those that begin with #, are passed over.

    Without names, columns are called by their places: "1", "2", ... Of columns that share a name, the later ones get a
    number behind it: a, a.2, a.3.

    Args:
        path: of the file.
        delimiter: between cells; None: what the file declares (`sep=;`), or else what cuts its lines evenly.
        header: whether the first line holds names; None: it is told by its words, or what stands below.
        decimal: what decimals begin with, a comma or a point, where thousands may have marks between; None: it is told
            by the cells.

    Raises:
        DataError: the file is unreadable, empty or binary, or rows have different widths.
    """
    rows = Rows(path, delimiter, decimal)
    found = None if decimal or _cut_elsewhere(rows.first) else convention(rows.columns)
    said = told(decimal or found or ".", [] if decimal else rows.columns)
    if found:  # cells that were taken for numbers are to be read by it, too
        rows = Rows(path, rows.delimiter, found)
    if not rows.first:
        raise DataError(f"{path} has nothing but blank lines; give a table of numbers")
    first, columns, lines = rows.first, rows.columns, rows.lines
    why = "as asked" if header else has_names(str(path), rows.first_line, first, columns) if header is None else ""
    commented = _commented(rows) if header is None and not why else []
    if not columns[0].rows and (header or any(map(is_word, first))):
        raise DataError(f"{path} has no rows below the names in line {rows.first_line}; give a table of numbers")
    names = commented or (first if why else [])
    if not (why or commented or delimiter) and rows.delimiter == "," and (cut := decimal_comma(rows.sample)):
        raise DataError(
            f"{path} has no names, and {cut!r} may be two cells or a number with a decimal comma; write "
            f"{cut.replace(',', '.')}, or give delimiter=, if these are two cells"
        )
    if not why:
        lines.insert(0, rows.first_line)
        for cell, column in zip(first, columns, strict=True):
            column.prepend(cell)
    notes = [_named(rows.first_line, why, commented), f"cells cut at each {spoken(rows.delimiter)}"]
    if rows.decimal:
        notes.append(f"{said}{' (as asked)' if decimal else ''}")
    comments = rows.comments.count - bool(commented)
    if comments:
        notes.append(f"{comments} line(s) with # passed over")
    named = _by_name(str(path), names, columns, notes)
    return Table(str(path), named, lines, rows.delimiter, None if commented else bool(why), notes, rows.decimal)


def _cut_elsewhere(names: Sequence[str]) -> bool:
    """Tell whether names have commas as well, so that those in numbers are likely to be between cells."""
    return bool(names) and all("," in name and any(map(str.isalpha, name)) for name in names)


def _named(line: int, why: str, commented: Sequence[str]) -> str:
    if commented:
        return "names: in a line with #"
    return f"names: line {line} ({why})" if why else f"names: none, line {line} is a row (header=yes if it has names)"


def _commented(rows: Rows) -> list[str]:
    """Return the names in the last comment above the rows, if it has as many cells as they, and words."""
    cells = [cell.strip() for cell in rows.comments.last.lstrip("#").rstrip("\n").split(rows.delimiter)]
    if len(cells) != len(rows.first) or len(cells) < 2:
        return []
    return ["#", *cells[1:]] if not cells[0] else cells


def _by_name(source: str, names: Sequence[str], columns: Sequence[Column], notes: list[str]) -> dict[str, Column]:
    """Name each column, and say which names stand several times."""
    several = [
        f"{name!r} ({count})" for name, count in Counter(filter(None, map(str.strip, names))).items() if count > 1
    ]
    if several:
        notes.append(f"names that stand several times: {', '.join(several)}; the second is called name.2, and so on")
    return dict(zip(labelled(source, names, len(columns)), columns, strict=True))


def labelled(source: str, names: Sequence[str], width: int) -> list[str]:
    """Return what columns are called: their own names, with a number where another has it too, or else their places.

    Raises:
        DataError: a name with a number is that of another column.
    """
    labels = [name.strip() for name in names] or [""] * width
    for at, name in enumerate(labels):
        if not name:
            place = str(at + 1)
            labels[at] = place if place not in labels else f"column {place}"
    counts: Counter[str] = Counter()
    made: list[str] = []
    for name in labels:
        counts[name] += 1
        label = name if counts[name] == 1 else f"{name}.{counts[name]}"
        if label in made or (label != name and label in labels):
            raise DataError(f"{source} has several columns called {name!r}; give each a name of its own")
        made.append(label)
    return made
