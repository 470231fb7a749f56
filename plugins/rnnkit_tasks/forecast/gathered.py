"""Rows of a series in a stream that are gathered into even steps, as `every` asks: a row for each step that is over."""

from collections.abc import Mapping, Sequence

import numpy as np

from rnnkit.errors import DataError
from rnnkit_tasks.forecast.arrivals import Arrivals
from rnnkit_tasks.forecast.held import Held
from rnnkit_tasks.forecast.rows import PLACE, Row
from rnnkit_tasks.forecast.writing import Writing
from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.decimals import value
from rnnkit_tasks.table.grid import Grid

MOST = 1_000_000
"""Steps without a row that a stream may jump over; beyond it, a time is taken for a slip."""


class Gathered(Arrivals):
    """Takes rows of a series, and puts the steps that are over in their place.

    A step is over as a row of a later one comes, or none comes any more; what is known ahead of it, as a row of a later
    one comes or is known ahead. Numbers of one step are averaged, of words the last one stands, as in tables.

    Args:
        held: where the steps are put.
        grid: of the steps.
        numeric: columns whose numbers are averaged.
        times: columns that tell the time, and what writes it as they do.
        decimal: what decimals begin with, where thousands may have marks.
    """

    def __init__(
        self, held: Held, grid: Grid, numeric: Sequence[str], times: Mapping[str, Writing], decimal: str | None
    ) -> None:
        super().__init__(held, [], gaps=True)
        self._grid, self._numeric, self._decimal = grid, {*numeric}, decimal
        self._writing = times
        self._steps: dict[int, list[Row]] = {}
        """The rows of steps that are not over."""
        self._first: int | None = None
        """The first step that is not over; None: no row has come."""
        self._current: int | None = None
        """The last step of which a row has come; None: nothing but what is known ahead."""
        self._line = 0
        self._names: list[str] = []
        self._taken = self._late = 0

    def _take(self, row: Row, ahead: bool) -> None:
        """Take a row; steps that it shows to be over are put to `held`.

        Raises:
            DataError: most rows go back in time, or one jumps too far.
        """
        if not np.isfinite(row.seconds):
            self.leave_out(row, "has no date")
            return
        step = int(self._grid.holding(np.array([row.seconds]))[0])
        if self._first is None or self._current is None:
            self._first = step if self._first is None else min(step, self._first)
        if step < self._first:
            self._refuse_late(row)
            return
        if step - max(self._steps, default=self._first) > MOST:
            raise DataError(f"{PLACE}, line {row.line}: more than {MOST:,} steps after the row before; correct it")
        self._taken += 1
        if not ahead and (self._current is None or step > self._current):
            self._finish(step)
            self._current = step
        self._steps.setdefault(step, []).append(row)
        self._line, self._names = row.line, [*row.cells]
        for writing in self._writing.values():
            writing.see(row)
        self._show(max(self._steps))

    def end(self) -> None:
        """Put all that has come to `held`: the last step is over."""
        last = max(self._steps, default=0) + 1
        if self._current is not None:
            self._finish(self._current + 1)
        self._show(last)

    def _refuse_late(self, row: Row) -> None:
        """Leave out a row of a step that is over.

        Raises:
            DataError: so are most.
        """
        self._late += 1
        if self._late > max(2, self._taken):
            names = " + ".join(self._writing)
            raise DataError(f"{PLACE}, line {row.line}: the time column {names!r} goes back; give the oldest row first")
        self.leave_out(row, "lies in a step that is over")

    def _finish(self, stop: int) -> None:
        """Put the steps before `stop` to `held`."""
        assert self._first is not None
        self.held.rows += [self._row(step) for step in range(self._first, stop)]
        self._steps = {step: rows for step, rows in self._steps.items() if step >= stop}
        self._first = max(self._first, stop)

    def _show(self, stop: int) -> None:
        """Put what is known ahead of steps before `stop` to `held`, as far as it can be needed."""
        if self._first is None or not self.held.horizon:
            return
        far = self._first + self.held.horizon
        self.held.ahead = [self._row(step) for step in range(self._first, min(stop, far))]
        self.held.further = any(self._is_known(rows) for step, rows in self._steps.items() if far <= step < stop)

    def _is_known(self, rows: Sequence[Row]) -> bool:
        """Tell whether the rows of a step hold all that is to be known ahead."""
        return all(any(not is_missing(row.cells[name]) for row in rows) for name in self.held.known)

    def _row(self, step: int) -> Row:
        """Return a step as a row, numbers written with a point."""
        rows = self._steps.get(step, [])
        seconds = float(self._grid.begins(np.array([step]))[0])
        cells = {name: self._cell(name, [row.cells[name] for row in rows]) for name in self._names}
        cells |= {name: writing.written(seconds) for name, writing in self._writing.items()}
        return Row(rows[-1].line if rows else self._line, cells, seconds)

    def _cell(self, name: str, cells: list[str]) -> str:
        """Return the mean of the numbers in cells of a column, or their last word."""
        filled = [cell.strip() for cell in cells if not is_missing(cell)]
        if not filled:
            return ""
        numbers = [value(cell, self._decimal) for cell in filled]
        if name in self._numeric:
            return repr(sum(numbers) / len(numbers))
        return f"{numbers[-1]:.15g}" if np.isfinite(numbers[-1]) else filled[-1]
