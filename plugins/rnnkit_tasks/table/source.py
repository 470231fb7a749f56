"""Where the task `csv` has its rows from: a file or the default series, read once, or again as it was read then."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnkit.errors import UsageError
from rnnkit_tasks.table.apart import check_averaged
from rnnkit_tasks.table.column import Column
from rnnkit_tasks.table.dates import SWAPPED
from rnnkit_tasks.table.grid import Grid
from rnnkit_tasks.table.house import house
from rnnkit_tasks.table.moments import moments
from rnnkit_tasks.table.order import ORDERS, Time, check_order
from rnnkit_tasks.table.parquet import is_parquet, read_parquet
from rnnkit_tasks.table.resampling import resampled
from rnnkit_tasks.table.series import Series, grouped, laid, texts
from rnnkit_tasks.table.steps import Step
from rnnkit_tasks.table.table import Table, read_table
from rnnkit_tasks.table.undated import check_dated
from rnnkit_tasks.table.untimed import check_untimed
from rnnkit_tasks.table.zoned_times import has_offset, zone_words
from rnnkit_tasks.table.zones import universal

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
    """Whose local times the dates are, or whose clock they are shown on."""
    dates: str | None = None
    """One of `READINGS`: what comes first in dates whose days and months could change places."""
    merged: bool = False
    """Whether rows whose key stands for nothing are one series, as in runs of before."""

    def read(
        self, left_out: Sequence[str] = (), reading: str = "", own: bool = False, words: Collection[str] = ()
    ) -> Reading:
        """Read the rows, the oldest first.

        Args:
            left_out: columns that are not looked at for the time.
            reading: of dates, "day first" or "month first", where that is known; `dates` decides over it.
            own: whether it is the table that a finished run learnt from, whose rows are taken as they then were.
            words: columns that are of words to a finished run, whatever is in them.

        Raises:
            UsageError: there is no column of the key's name, no time to bring to even steps, or no dates whose days and
                months could change places.
            DataError: the file is unfit, its dates are not what was asked for, a row has something else in the place of
                one, a key is empty or seems to lack, or its newest row comes first.
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
            order, series = grouped(table, self.key, self.merged)
            table, time = table.take(order), None if time is None else time._replace(seconds=time.seconds[order])
        if self.order != "newest-first":
            self._check(table, time, whys, left_out, series)
        zone = self.zone or (None if self.kept or time is None else table.zones.get(time.names[0]))
        if zone is not None:
            time = self._zoned(table, time, series, zone)
        elif time is not None and _has_offset(table, time):
            table.notes.append("times are taken in UTC")
        elif time is not None:
            table.notes += _told_words(texts(table, time.names[-1]))
        if self.every is not None:
            if time is None:
                raise UsageError(f"task 'csv': every is {self.every!r}, and no column of {table.source} tells the time")
            if self.key is None and not self.kept:
                table.notes += check_averaged(table, time, whys, left_out, self.order == ORDERS[0])
            grid = Grid(Step.read(self.every), time.zone)
            table, time, series = resampled(table, time, series, grid, self.key, words)
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

    def _zoned(self, table: Table, time: Time | None, series: list[Series], zone: str) -> Time:
        """Return the time in UTC of rows whose dates are local, or have offsets and are shown on a clock."""
        if time is None:
            raise UsageError(f"task 'csv': zone is {zone!r}, and no column of {table.source} tells the time")
        why = "as asked" if self.zone else "the zone of the file"
        if _has_offset(table, time):
            table.notes.append(f"times have offsets, and parts of the date are those of {zone} ({why})")
            return time._replace(zone=zone)
        parts = [universal(time.seconds[rows.start : rows.stop], zone) for _, rows in series]
        table.notes.append(f"times are those of {zone} ({why})")
        return time._replace(seconds=np.concatenate(parts), zone=zone)

    def as_read(self, reading: Reading) -> "Source":
        """Return how to read it again in the same way."""
        table, zone = reading.table, (reading.time.zone if reading.time else "") or self.zone
        return self._replace(delimiter=table.delimiter or None, header=table.header, decimal=table.decimal, zone=zone)

    def to_json(self) -> dict[str, Any]:
        """Return all but the place of the file."""
        return {name: getattr(self, name) for name in ("delimiter", "header", "order", *LATER)}

    @classmethod
    def from_json(cls, path: Path | None, values: Mapping[str, Any]) -> "Source":
        """Read what `to_json` returned, by this rnnkit or one that had fewer options."""
        later: dict[str, Any] = {name: values.get(name) for name in LATER}
        return cls(path, values["delimiter"], values["header"], values["order"], kept=True, **later)


READINGS = {note.replace(" ", "-"): note for note in SWAPPED}
"""What dates may be asked to be, and the notes on it."""

LATER = ("decimal", "key", "every", "zone", "dates")
"""Options that runs of the first rnnkit did not have."""


def _has_offset(table: Table, time: Time) -> bool:
    return has_offset(texts(table, time.names[-1]))


def _told_words(cells: Sequence[str]) -> list[str]:
    """Say which words for zones behind times are passed over."""
    words = zone_words(cells)
    if not words:
        return []
    behind = " and ".join(words) if len(words) < 3 else f"{words[0]} and the like"
    return [f"{behind} behind times is passed over; zone=Europe/Berlin, say, takes them for a clock's"]


def _example() -> Table:
    return Table("the default series", {name: Column(numbers) for name, numbers in house().items()})
