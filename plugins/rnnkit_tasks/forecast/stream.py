"""A table that comes line by line, and the window that ends in each of its rows."""

import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from rnnkit.errors import DataError
from rnnkit_tasks.forecast.arrivals import Arrivals
from rnnkit_tasks.forecast.features import ANSWER, NUMBER
from rnnkit_tasks.forecast.gaps import POLICIES
from rnnkit_tasks.forecast.gathered import Gathered
from rnnkit_tasks.forecast.held import Held, Span
from rnnkit_tasks.forecast.lead import Lead
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.forecast.rows import PLACE, Row, RowReader, unfit
from rnnkit_tasks.forecast.shortfall import no_forecast
from rnnkit_tasks.forecast.writing import Writing
from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.column import Column
from rnnkit_tasks.table.grid import Grid
from rnnkit_tasks.table.order import Time
from rnnkit_tasks.table.series import Series
from rnnkit_tasks.table.source import Reading
from rnnkit_tasks.table.steps import Step
from rnnkit_tasks.table.table import Table

log = logging.getLogger("rnnkit.tasks")


class Window(NamedTuple):
    """Rows of a series from which something can be forecast."""

    series: str
    """Its name; "" where there is but one."""

    place: str
    """Where the last row of the window stood."""
    reading: Reading
    """The window, what is known ahead of the rows after it, and before it what its gaps are filled from."""
    lead: int
    """How many rows stand before it."""
    timed: Table
    """The columns of the time, of the window and the rows after it; without any, row numbers."""
    time: Time | None
    """Of those rows."""
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
        self._learnt, self._reader = learnt, RowReader(lines, learnt)
        kinds = {feature.name: feature.kind for feature in learnt.features if feature.kind in (NUMBER, ANSWER)}
        self._numeric = [name for name, kind in kinds.items() if kind == NUMBER]
        self._filled = [*kinds] if learnt.missing in ("forward", "interpolate") else []
        self._ahead = [name for name in learnt.roles.ahead if name in kinds]
        self._decimal = None if learnt.source.every else learnt.source.decimal
        self._series: dict[str, Arrivals] = {}

    def windows(self) -> Iterator[Window]:
        """Yield the window that ends in each row, from the first one that is full, once it can be forecast from."""
        for row in self._reader.rows():
            name, ahead = self._reader.series(row), self._reader.is_ahead(row)
            if name not in self._series:
                self._series[name] = self._arrivals()
            arrivals = self._series[name]
            row = row._replace(seconds=self._reader.seconds(row, arrivals.before(ahead)))
            arrivals.add(row, ahead)
            for span in arrivals.held.spans():
                yield self._window(name, span)
        for name, arrivals in self._series.items():
            arrivals.end()
            for span in arrivals.held.spans():
                yield self._window(name, span)
        self._end()

    def _arrivals(self) -> Arrivals:
        """Return what takes the rows of a series that begins."""
        learnt, source = self._learnt, self._learnt.source
        held = Held(learnt.window, learnt.horizon if learnt.ahead else 0, self._filled, self._ahead)
        if source.every is None:
            return Arrivals(held, self._reader.judged, learnt.missing != POLICIES[0])
        grid = Grid(Step.read(source.every), source.zone or "")
        times = self._reader.times
        writing = {name: Writing(grid.zone, learnt.reading, times, name) for name in times}
        return Gathered(held, grid, self._numeric, writing, source.decimal)

    def _end(self) -> None:
        """Say which series had too few rows.

        Raises:
            DataError: all had.
        """
        size = self._learnt.window
        counts = {name: arrivals.held.count for name, arrivals in self._series.items()}
        short = {name: count for name, count in counts.items() if count < size}
        if len(short) == len(self._series):
            rows = max(short.values(), default=0)
            of = " of any series" if self._learnt.source.key is not None else ""
            raise DataError(
                f"{PLACE} ended after {rows} row(s){of}; the run forecasts from {size}, so give at least as many"
            )
        if short:
            log.warning("%s: %s", PLACE, no_forecast(short, size))
        self._end_ahead(counts)

    def _end_ahead(self, counts: dict[str, int]) -> None:
        """Say from which last rows nothing was forecast, for want of what is known ahead.

        Raises:
            DataError: so it is of all.
        """
        size, horizon = self._learnt.window, self._learnt.horizon
        late = {name: rows for name, one in self._series.items() if (rows := one.held.lack())}
        if not late:
            return
        ahead = ", ".join(self._learnt.roles.ahead)
        if all(counts[name] < size or rows > counts[name] - size for name, rows in late.items()) and len(late) == sum(
            count >= size for count in counts.values()
        ):
            raise DataError(
                f"{PLACE}: nothing can be forecast, for {ahead} is not known of the {horizon} row(s) after any window; "
                "give rows that hold it below, their other cells empty"
            )
        first = next(iter(late))
        of = f" of series {first!r}" if first else ""
        others = f" (so are {len(late) - 1} other series behind)" if len(late) > 1 else ""
        log.warning(
            "%s: %s is not known of all %d row(s) after the last one%s, so the last %d row(s) got no forecast%s; give "
            "rows that hold it below, their other cells empty",
            *(PLACE, ahead, horizon, of, late[first], others),
        )

    def _window(self, series: str, span: Span) -> Window:
        """Return rows as a table."""
        size, rows = self._learnt.window, span.rows
        if self._learnt.missing == POLICIES[0]:
            self._check_ahead(rows[size:])
        lead, places = Lead.of(span, self._filled, self._ahead, self._learnt)
        inputs, times = self._learnt.roles.inputs, self._reader.times
        columns = {name: Column(decimal=self._decimal) for name in inputs}
        for name, column in columns.items():
            cells = [""] * lead + [row.cells[name] for row in rows]
            if name in places:
                cells[lead - places[name]] = span.gone[name][1]
            column.append(cells)
        timed = {name: Column(decimal=self._decimal) for name in times}
        for name, column in timed.items():
            column.append([row.cells[name] for row in rows])
        seconds = np.array([row.seconds for row in rows])
        time = Time(times, seconds, self._learnt.reading, self._learnt.source.zone or "") if times else None
        place = f"{PLACE}, line {rows[size - 1].line}"
        _check_order(place, time)
        read = [name for name in self._learnt.roles.targets if name in inputs]
        return Window(
            series,
            place,
            Reading(
                Table(PLACE, columns, [rows[0].line] * lead + [row.line for row in rows]),
                None if time is None else time._replace(seconds=np.concatenate([np.full(lead, np.nan), seconds])),
                {},
                [Series(series, range(lead + len(rows)))],
            ),
            lead,
            Table(PLACE, timed or {"": Column(np.arange(float(len(rows))))}),
            time,
            span.before,
            tuple(name for name in read if all(is_missing(row.cells[name]) for row in rows[:size])),
        )

    def _check_ahead(self, rows: list[Row]) -> None:
        """Raise DataError for a row of which something is not known ahead that is known of later ones."""
        for row in rows:
            for name in self._ahead:
                if is_missing(row.cells[name]):
                    raise unfit(row, name)


def _check_order(place: str, time: Time | None) -> None:
    """Raise DataError for rows most of which are older than the ones before; clocks that are put back do no harm."""
    if time is not None and len(time.seconds) > 1 and (np.diff(time.seconds) < 0).mean() > 0.5:
        raise DataError(f"{place}: the time column {' + '.join(time.names)!r} goes back; give the oldest row first")
