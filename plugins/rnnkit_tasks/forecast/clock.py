"""What the rows of a table are called in a forecast: by their times as the table writes them, and on beyond its end."""

import math
from collections.abc import Sequence

import numpy as np

from rnnkit_tasks.forecast.pace import ENOUGH, Pace
from rnnkit_tasks.table.order import Time
from rnnkit_tasks.table.series import texts
from rnnkit_tasks.table.table import Table
from rnnkit_tasks.table.zoned_times import has_offset, iso_in, writer_in

ROW = "row"
"""The column of row numbers, where times alone do not say which row is meant."""


class Clock:
    """Names rows.

    Args:
        table: the oldest row first.
        time: of its rows, if a column tells it.
        names: of the columns that told the time of the run's own table.
        kept: the pace of the run's own table.
        enough: share of the steps in time by which that is known again.
        like: of another series, whose columns this one keeps to; None: it has those that it needs.
    """

    def __init__(
        self,
        table: Table,
        time: Time | None,
        names: Sequence[str],
        kept: Pace | None,
        enough: float = ENOUGH,
        like: "Clock | None" = None,
    ) -> None:
        self._rows, self._before = table.rows, 0
        self.names = list(time.names) if time is not None and time.names == list(names) else []
        self.notes: list[str] = []
        self.pace: Pace | None = None
        self._cells = {name: list(texts(table, name)) for name in self.names}
        self._seconds = time.seconds if time is not None and self.names else np.full(table.rows, np.nan)
        self._zone = self._clock = time.zone if time is not None else ""
        self._reading = time.note if time is not None else ""
        shown = bool(self._zone and self.names) and has_offset(self._cells[self.names[-1]])
        if shown and len(self.names) > 1:  # a date apart from its offset cannot be put on another clock
            self._zone = ""
        self._converted = shown and bool(self._zone)
        if names and not self.names:
            self.notes.append(f"{table.source} has no times in {' + '.join(names)}; rows are shown by their numbers")
        elif not names:
            self.notes.append("no column tells the time; rows are shown by their numbers, counted from 1")
        else:
            fits = kept is not None and kept.fits(self._seconds, enough, self._clock)
            self.pace = kept if fits else Pace.found(self._seconds, self._clock)
            if kept is not None and self.pace not in (kept, None):
                self.notes.append(f"rows are {self.pace} apart, those that the run learnt from {kept}")
            if self.pace is None:
                self.notes.append(
                    "times are not evenly spaced, so rows are shown by their numbers too, counted from 1, and those "
                    "beyond the last one have no time"
                )
            elif not np.isfinite(self._seconds).all():
                self.notes.append("some rows have no date, so rows are shown by their numbers too, counted from 1")
        self._numbered = self.pace is None or not np.isfinite(self._seconds).all()
        own = [*([ROW] if self._numbered else []), *self.names]
        self._shown: list[str] = own if like is None else like._shown
        if like is not None and self._numbered and ROW not in self._shown:
            self.notes[:] = ["some series have no times, or uneven ones; their rows have none where they are not known"]

    def going_on(self, table: Table, time: Time | None, before: int) -> "Clock":
        """Name later rows of a stream, of which `before` are gone: a gap changes neither pace nor columns."""
        clock = Clock(table, time, self.names, self.pace)
        clock._before, clock.pace, clock._shown = before, self.pace, self._shown
        clock.notes.clear()
        return clock

    def index(self, rows: range) -> dict[str, list[str]]:
        """Return what rows are called, by column; some may lie beyond the end of the table."""
        beyond = max(0, rows.stop - max(rows.start, self._rows))
        late = self._beyond(rows.stop - self._rows) if beyond and self.names else {}
        called = {}
        for name in self._shown:
            if name not in self.names:
                called[name] = [str(self._before + row + 1) if name == ROW else "" for row in rows]
                continue
            cells = self._cells[name] + late[name] if late else self._cells[name]
            called[name] = cells[rows.start : rows.stop]
            if self._converted:
                called[name] = self._on_the_clock(name, called[name], rows.start)
        return called

    def _on_the_clock(self, name: str, cells: list[str], first: int) -> list[str]:
        """Return the cells from a row on as a clock of the zone shows their times, which have offsets from UTC."""
        write = writer_in(self._zone, self._cells[name], self._seconds, self._reading)
        known = self._seconds[first : self._rows].tolist()
        shown = [
            cell if math.isnan(at) else write(at) if write else iso_in(self._zone, at, cell)
            for cell, at in zip(cells, known, strict=False)
        ]
        return [*shown, *cells[len(shown) :]]

    def _beyond(self, count: int) -> dict[str, list[str]]:
        """Return the cells of so many rows after the last one."""
        if self.pace is None or not np.isfinite(self._seconds[-1]):
            return {name: [""] * count for name in self.names}
        due = self.pace.after(float(self._seconds[-1]), count, self._clock).tolist()
        self.notes.append(f"times beyond the last row go on in steps of {self.pace}")
        beside = self._cells[self.names[-1]]
        writers = [
            writer_in(self._zone, self._cells[name], self._seconds, self._reading, beside) for name in self.names
        ]
        if all(writers):
            return {
                name: [write(seconds) for seconds in due]
                for name, write in zip(self.names, writers, strict=True)
                if write is not None
            }
        first, *others = self.names
        texts = [iso_in(self._zone, seconds, self._cells[first][-1]) for seconds in due]
        self.notes[-1] += f", written as {texts[0]}, for the form of the table's own cannot be gone on with"
        return {first: texts, **{name: [""] * count for name in others}}
