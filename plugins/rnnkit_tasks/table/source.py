"""Where the task `csv` has its rows from: a file or the default series, read once, or again as it was read then."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rnnkit.errors import DataError
from rnnkit_tasks.forecast.house import house
from rnnkit_tasks.table.column import Column
from rnnkit_tasks.table.moments import moments
from rnnkit_tasks.table.order import Time, check_order
from rnnkit_tasks.table.table import Table, read_table
from rnnkit_tasks.table.untimed import check_untimed


class Source(NamedTuple):
    """A file and how it is read."""

    path: Path | None
    """None: the default series."""
    delimiter: str | None = None
    header: bool | None = None
    order: str | None = None
    kept: bool = False
    """Whether it is that of a finished run."""

    def read(self, left_out: Sequence[str] = (), reading: str = "") -> tuple[Table, Time | None, dict[str, str]]:
        """Read the rows, the oldest first.

        Args:
            left_out: columns that are not looked at for the time.
            reading: of dates, "day first" or "month first", where that is known.

        Returns: the table, the time of its rows if a column tells it, and what else of time there is, by name.

        Raises:
            DataError: the file is unfit, or its newest row comes first.
        """
        table = _example() if self.path is None else read_table(self.path, self.delimiter, self.header)
        time, whys = moments(table, left_out, reading)
        if time is not None:
            check_order(table.source, time, table.lines, self.order, self.kept)
        elif self.order is None:
            check_untimed(table, whys, left_out, self.kept)
        if self.order == "newest-first":
            table.turn()
            table.notes.append("newest row first, turned round")
            time = None if time is None else time._replace(seconds=time.seconds[::-1].copy())
        return table, time, whys

    def as_read(self, table: Table) -> "Source":
        """Return how to read it again in the same way."""
        return self._replace(delimiter=table.delimiter or None, header=table.header)

    def to_json(self) -> dict[str, Any]:
        """Return all but the place of the file."""
        return {"delimiter": self.delimiter, "header": self.header, "order": self.order}

    @classmethod
    def from_json(cls, path: Path | None, values: Mapping[str, Any]) -> "Source":
        """Read what `to_json` returned."""
        return cls(path, values["delimiter"], values["header"], values["order"], kept=True)


def check_rows(table: Table, rows: int) -> int:
    """Return how many rows a table has more than it had; raise DataError if it has less."""
    if table.rows < rows:
        raise DataError(f"{table.source} has {table.rows} row(s), {rows} when the run was made; give back that table")
    return table.rows - rows


def _example() -> Table:
    return Table("the default series", {name: Column(numbers) for name, numbers in house().items()})
