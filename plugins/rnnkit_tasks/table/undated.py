"""Rows whose cell of the time holds something that is no date: a total below the others, a slip."""

from collections.abc import Sequence

import numpy as np

from rnnkit.errors import DataError
from rnnkit_tasks.table.cells import is_missing, is_word
from rnnkit_tasks.table.dates import dates
from rnnkit_tasks.table.order import Time
from rnnkit_tasks.table.series import texts
from rnnkit_tasks.table.table import Table

REMEDY = "correct it, or take the row out"


def check_dated(table: Table, time: Time, kept: bool) -> None:
    """Raise DataError for the first row that has no date, but something else in its place; empty cells are none.

    Args:
        table: whose rows these are.
        time: of the rows.
        kept: whether it is that of a finished run, whose options nobody can change.
    """
    without = np.flatnonzero(~np.isfinite(time.seconds)).tolist()
    columns: Sequence[Sequence[str]] = [texts(table, name) for name in time.names] if without else []
    for row in without:
        cells = [column[row] for column in columns]
        if any(map(is_missing, cells)):
            continue
        wrong = next((at for at, cell in enumerate(cells) if dates([cell]) is None), 0)
        way_out = "" if kept else ", or leave the column out (leave_out), or give order=oldest-first to keep such rows"
        raise DataError(
            f"{table.source}, line {table.lines[row]}, column {time.names[wrong]!r}: {cells[wrong][:40]!r} is no date "
            f"like the others; {REMEDY}{way_out}"
        )


def is_undated(cell: str) -> bool:
    """Tell whether a cell of a column that tells the time holds neither date nor number, and is not empty."""
    return is_word(cell) and not is_missing(cell) and dates([cell]) is None
