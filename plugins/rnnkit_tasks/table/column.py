"""A column of a table: its numbers, and the cells that hold none."""

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.table.cells import ANSWERS, is_missing, written
from rnnkit_tasks.table.decimals import value, values

Numbers = NDArray[np.float64]


class Column:
    """Numbers (N,), NaN where a cell holds none; such cells, infinite ones too, are `odd`."""

    def __init__(self, numbers: Any = (), decimal: str | None = None) -> None:
        self.decimal = decimal
        """What decimals begin with, where thousands may have marks; None: numbers have a point, and no marks."""
        self._pieces: list[Numbers] = [np.asarray(numbers, dtype=np.float64)] if len(numbers) else []
        self.rows = sum(map(len, self._pieces))
        self.odd_rows = array("q")
        self.odd_cells: list[str] = []

    @classmethod
    def of(cls, numbers: Numbers, odd: Mapping[int, str]) -> "Column":
        """Return a column of numbers (N,), and of the cells of those rows that hold none, by row."""
        column = cls(numbers)
        column.odd_rows, column.odd_cells = array("q", sorted(odd)), [odd[row] for row in sorted(odd)]
        return column

    @property
    def regular(self) -> bool:
        """Whether every cell holds a finite number."""
        return not self.odd_cells

    @property
    def numbers(self) -> Numbers:
        """All of them in one array."""
        if len(self._pieces) != 1:
            self._pieces = [np.concatenate(self._pieces) if self._pieces else np.zeros(0)]
        return self._pieces[0]

    def append(self, cells: Sequence[str]) -> None:
        """Add cells below."""
        try:
            numbers = np.fromiter(map(float, cells), np.float64, len(cells))
            plain = not self.decimal and bool(np.isfinite(numbers).all()) and "_" not in "".join(cells)
        except ValueError:
            plain = False
        if plain:
            self.append_numbers(numbers)
            return
        numbers = np.fromiter(values(cells, self.decimal), np.float64, len(cells))
        odd = np.flatnonzero(~np.isfinite(numbers))
        self.odd_rows.extend((odd + self.rows).tolist())
        self.odd_cells.extend([cells[at] for at in odd.tolist()])
        self.append_numbers(numbers)

    def append_numbers(self, numbers: Numbers) -> None:
        """Add finite numbers below."""
        self._pieces.append(numbers)
        self.rows += len(numbers)

    def append_words(self, cells: Sequence[str]) -> None:
        """Add cells below of which none holds a number."""
        self.odd_rows.extend(range(self.rows, self.rows + len(cells)))
        self.odd_cells.extend(cells)
        self.append_numbers(np.full(len(cells), np.nan))

    def prepend(self, cell: str) -> None:
        """Put a cell in above all."""
        first, rows = value(cell, self.decimal), self.odd_rows
        self._pieces.insert(0, np.array([first]))
        self.rows += 1
        self.odd_rows = array("q", [row + 1 for row in rows])
        if not np.isfinite(first):
            self.odd_rows.insert(0, 0)
            self.odd_cells.insert(0, cell)

    def turn(self) -> None:
        """Put the last row first."""
        self._pieces = [self.numbers[::-1].copy()]
        self.odd_rows = array("q", [self.rows - 1 - row for row in reversed(self.odd_rows)])
        self.odd_cells.reverse()

    def take(self, rows: NDArray[np.int64]) -> "Column":
        """Return these rows, in this order, as a column of their own."""
        cells = dict(zip(self.odd_rows, self.odd_cells, strict=True))
        odd = np.zeros(self.rows, dtype=bool)
        odd[np.array(self.odd_rows, dtype=np.int64)] = True
        at = np.flatnonzero(odd[rows])
        found = zip(at.tolist(), rows[at].tolist(), strict=True)
        return Column.of(self.numbers[rows], {place: cells[row] for place, row in found})

    def head(self, rows: int) -> "Column":
        """Return the first rows as a column of their own."""
        column, odd = Column(self.numbers[:rows]), bisect_left(self.odd_rows, rows)
        column.odd_rows, column.odd_cells = self.odd_rows[:odd], self.odd_cells[:odd]
        return column

    def top(self, count: int) -> list[str]:
        """Return the cells of so many rows at the top."""
        odd = dict(zip(self.odd_rows[:count], self.odd_cells[:count], strict=True))
        return [odd.get(row, f"{value:.15g}") for row, value in enumerate(self.numbers[:count])]

    def cells(self) -> list[str]:
        """Return the odd cells where all are odd; else all cells, numbers as they are read."""
        if len(self.odd_cells) == self.rows:
            return self.odd_cells
        return self.top(self.rows)


def column_of(cells: Sequence[str]) -> Column:
    """Return cells as a column."""
    column = Column()
    column.append(cells)
    return column


def unlike_numbers(column: Column) -> str:
    """Say what a column holds that is left out: "empty", "yes/no", "text"; "" where most of it looks like numbers."""
    filled = [cell for cell in column.odd_cells if not is_missing(cell)]
    numbers = column.rows - len(column.odd_cells)
    if not numbers and not filled:
        return "empty"
    if filled and _answers(filled) and bool(np.isin(column.numbers, (0, 1))[np.isfinite(column.numbers)].all()):
        return "yes/no"
    few = filled[:: len(filled) // 1000 + 1]
    readings = [written(cell) for cell in few]
    units = {look[1] for look in readings if look and look[1]}
    looks = [look for look in readings if look and (not look[1] or len(units) <= 3)]
    alike = len(looks) / len(few) * len(filled) if few else 0
    infinite = sum(cell.strip().lstrip("+-").lower() in ("inf", "infinity") for cell in few)
    if 2 * (numbers + alike + infinite) > numbers + len(filled):
        return ""
    return "yes/no" if _answers(few) else "text"


def _answers(cells: Sequence[str]) -> bool:
    return all(cell.strip().lower() in ANSWERS for cell in cells)
