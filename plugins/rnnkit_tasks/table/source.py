"""Where the task `csv` has its rows from: a file or the default series, read once, or again as it was read then."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnkit.errors import DataError, UsageError
from rnnkit_tasks.table.column import Column
from rnnkit_tasks.table.dates import SWAPPED
from rnnkit_tasks.table.house import house
from rnnkit_tasks.table.moments import moments
from rnnkit_tasks.table.order import ORDERS, Time, check_order
from rnnkit_tasks.table.parquet import is_parquet, read_parquet
from rnnkit_tasks.table.resampling import SHORT, Step, resampled
from rnnkit_tasks.table.series import Series, grouped, laid, texts
from rnnkit_tasks.table.table import Table, read_table
from rnnkit_tasks.table.undated import check_dated
from rnnkit_tasks.table.untimed import check_untimed
from rnnkit_tasks.table.written_times import OFFSET
from rnnkit_tasks.table.zones import local, universal

CHECKED = 50
"""Series whose order is asked for where no column tells their time."""


class Reading(NamedTuple):
    """A table as it is used: each series in one piece, its oldest row first."""

    table: Table
    time: Time | None
    """Of its rows, if a column tells it."""
    whys: dict[str, str]
    """What other columns have to do with time, by name."""
    series: list[Series]

    def taken(self, parts: Sequence[Series]) -> "Reading":
        """Return parts of series, one behind the other."""
        if list(parts) == self.series:
            return self
        series = laid((one.name, len(one.rows)) for one in parts)
        if len(parts) == 1 and not parts[0].rows.start:  # the beginning, of which no copy is made
            rows = parts[0].rows.stop
            time = None if self.time is None else self.time.head(rows)
            return self._replace(table=self.table.head(rows), time=time, series=series)
        rows_of = [np.arange(one.rows.start, one.rows.stop) for one in parts]
        chosen = np.concatenate(rows_of) if rows_of else np.zeros(0, dtype=np.int64)
        time = None if self.time is None else self.time._replace(seconds=self.time.seconds[chosen])
        return self._replace(table=self.table.take(chosen), time=time, series=series)


class Source(NamedTuple):
    """A file and how it is read."""

    path: Path | None
    """None: the default series."""
    delimiter: str | None = None
    header: bool | None = None
    order: str | None = None
    kept: bool = False
    """Whether it is that of a finished run."""
    decimal: str | None = None
    key: str | None = None
    """The column that tells series apart."""
    every: str | None = None
    """The step in time that rows are brought to."""
    zone: str | None = None
    """Whose local times the dates are."""
    dates: str | None = None
    """One of `READINGS`: what comes first in dates whose days and months could change places."""

    def read(self, left_out: Sequence[str] = (), reading: str = "", own: bool = False) -> Reading:
        """Read the rows, the oldest first.

        Args:
            left_out: columns that are not looked at for the time.
            reading: of dates, "day first" or "month first", where that is known; `dates` decides over it.
            own: whether it is the table that a finished run learnt from, whose rows are taken as they then were.

        Raises:
            UsageError: there is no column of the key's name, no time to bring to even steps, or no dates whose days and
                months could change places.
            DataError: the file is unfit, its dates are not what was asked for, a row has something else in the place of
                one, or its newest row comes first.
        """
        table = self._table()
        if self.key is not None:
            table.column(self.key)
        time, whys = self._moments(table, left_out, reading)
        if time is not None and not own and self.order != ORDERS[0]:
            check_dated(table, time, self.kept)
        if self.order == "newest-first":  # the rows of each series, as they come
            self._check(table, time, whys, left_out, [Series("", range(table.rows))] if self.key is None else [])
            table.turn()
            table.notes.append("newest row first, turned round")
            time = None if time is None else time._replace(seconds=time.seconds[::-1].copy())
        series = [Series("", range(table.rows))]
        if self.key is not None:
            order, series = grouped(table, self.key)
            table, time = table.take(order), None if time is None else time._replace(seconds=time.seconds[order])
        if self.order != "newest-first":
            self._check(table, time, whys, left_out, series)
        if self.zone is not None:
            time = self._zoned(table, time, series)
        elif time is not None and _has_offset(table, time):
            table.notes.append("times are taken in UTC")
        if self.every is not None:
            if time is None:
                raise UsageError(f"task 'csv': every is {self.every!r}, and no column of {table.source} tells the time")
            table, time, series = _even(table, time, series, Step.read(self.every), self.key)
        return Reading(table, time, whys, series)

    def _table(self) -> Table:
        if self.path is None:
            return _example()
        if is_parquet(self.path):
            return read_parquet(self.path)
        return read_table(self.path, self.delimiter, self.header, self.decimal)

    def _moments(self, table: Table, left_out: Sequence[str], reading: str) -> tuple[Time | None, dict[str, str]]:
        """Find the time of the rows, its dates read as was asked."""
        not_time = [*left_out, *([self.key] if self.key else [])]
        time, whys = moments(table, not_time, READINGS.get(self.dates or "", reading), self.dates is not None)
        if self.dates is not None and not self.kept and (time is None or time.note not in SWAPPED):
            raise UsageError(
                f"task 'csv': dates is {self.dates!r}, and {table.source} has no dates in which the day or the month "
                "comes first; leave dates out"
            )
        return time, whys

    def _check(
        self, table: Table, time: Time | None, whys: Mapping[str, str], left_out: Sequence[str], series: list[Series]
    ) -> None:
        """Raise DataError for the first series whose newest row comes first, and nobody said so."""
        for name, rows in series if time is not None else series[:CHECKED]:
            part = table if len(series) == 1 else table.take(np.arange(rows.start, rows.stop))
            what = f"{table.source}, series {name!r}" if self.key is not None else table.source
            if time is not None:
                times = time._replace(seconds=time.seconds[rows.start : rows.stop])
                check_order(what, times, part.lines, self.order, self.kept)
            elif self.order is None:
                check_untimed(part, whys, left_out, self.kept)

    def _zoned(self, table: Table, time: Time | None, series: list[Series]) -> Time:
        """Return the time in UTC of rows whose dates are local."""
        if time is None:
            raise UsageError(f"task 'csv': zone is {self.zone!r}, and no column of {table.source} tells the time")
        zone = str(self.zone)
        if _has_offset(table, time):
            raise UsageError(
                f"task 'csv': zone is {zone!r}, and the times of {table.source} have offsets from UTC; leave zone out"
            )
        parts = [universal(time.seconds[rows.start : rows.stop], zone) for _, rows in series]
        table.notes.append(f"times are those of {zone} (as asked)")
        return time._replace(seconds=np.concatenate(parts), zone=zone)

    def as_read(self, table: Table) -> "Source":
        """Return how to read it again in the same way."""
        return self._replace(delimiter=table.delimiter or None, header=table.header, decimal=table.decimal)

    def to_json(self) -> dict[str, Any]:
        """Return all but the place of the file."""
        return {name: getattr(self, name) for name in ("delimiter", "header", "order", *LATER)}

    @classmethod
    def from_json(cls, path: Path | None, values: Mapping[str, Any]) -> "Source":
        """Read what `to_json` returned, by this rnnkit or one that had fewer options."""
        later = {name: values.get(name) for name in LATER}
        return cls(path, values["delimiter"], values["header"], values["order"], kept=True, **later)


READINGS = {note.replace(" ", "-"): note for note in SWAPPED}
"""What dates may be asked to be, and the notes on it."""

LATER = ("decimal", "key", "every", "zone", "dates")
"""Options that runs of the first rnnkit did not have."""


def _has_offset(table: Table, time: Time) -> bool:
    """Tell whether times say how far they are from UTC, as 2024-01-31T13:45+01:00 does, by the last of them."""
    return bool(OFFSET.search(texts(table, time.names[-1])[-1]))


def _even(
    table: Table, time: Time, series: list[Series], every: Step, key: str | None
) -> tuple[Table, Time, list[Series]]:
    """Bring rows to even steps; days and longer ones begin when a clock of their zone says so."""
    if not time.zone or every.unit in SHORT:
        return resampled(table, time, series, every, key)
    shifted = time._replace(seconds=local(time.seconds, time.zone), zone="")
    table, even, series = resampled(table, shifted, series, every, key)
    parts = [universal(even.seconds[rows.start : rows.stop], time.zone) for _, rows in series]
    return table, even._replace(seconds=np.concatenate(parts), zone=time.zone), series


def check_rows(table: Table, rows: int) -> int:
    """Return how many rows a table has more than it had; raise DataError if it has less."""
    if table.rows < rows:
        raise DataError(f"{table.source} has {table.rows} row(s), {rows} when the run was made; give back that table")
    return table.rows - rows


def _example() -> Table:
    return Table("the default series", {name: Column(numbers) for name, numbers in house().items()})
