"""Columns that may tell several series apart, where rows stand in one table and nobody has named a key."""

from collections.abc import Container, Mapping

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError
from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.column import unlike_numbers
from rnnkit_tasks.table.order import Time
from rnnkit_tasks.table.series import texts
from rnnkit_tasks.table.stamps import counter
from rnnkit_tasks.table.table import Table

OFTEN = 0.1
"""Of the rows of a table, the share with the time of another one from which on several series may stand in it."""

LEAST = 3
"""Rows of a series, on average, of those that a column tells apart."""


def apart(table: Table, time: Time | None, passed_over: Container[str]) -> tuple[list[str], list[str]]:
    """Return the columns of words, and of whole numbers, within each of whose values times go forth."""
    found: tuple[list[str], list[str]] = ([], [])
    for name, column in table.columns.items():
        if name in passed_over or (time and name in time.names):
            continue
        words = not column.regular and unlike_numbers(column) in ("text", "yes/no")
        numbers = column.regular and bool((column.numbers == np.floor(column.numbers)).all())
        if (words or (numbers and not counter(name, column.numbers))) and _goes_forth(table, time, name):
            found[0 if words else 1].append(name)
    return found


def check_averaged(
    table: Table, time: Time, whys: Mapping[str, str], left_out: Container[str], as_asked: bool
) -> list[str]:
    """Return what is to be said of rows that share a time, and are about to be averaged as no key tells them apart.

    Args:
        table: as it stands in the file.
        time: of its rows.
        whys: what columns have to do with time, by name.
        left_out: columns that are not looked at.
        as_asked: whether the rows are to be taken as they stand.

    Raises:
        DataError: a column of words tells them apart.
    """
    same = _sharing(time.seconds)
    columns = [c.numbers for name, c in table.columns.items() if name not in time.names]
    if len(same) <= OFTEN * table.rows or not any(_differs(numbers, time.seconds, same) for numbers in columns):
        return []
    words, _ = apart(table, time, [*whys, *(name for name in table.columns if name in left_out)])
    if words and not as_asked:
        raise DataError(
            f"{table.source}: {len(same)} row(s) have the time of another one and other numbers, and never where "
            f"{words[0]!r} is the same, so rows of several series seem to stand there, which every would average; give "
            f"key={words[0]}, or leave_out={words[0]} if they are to be averaged, or order=oldest-first to read it, too"
        )
    return [
        f"{len(same)} row(s) have the time of another one and other numbers, and are averaged; if they are of several "
        "series, give key"
    ]


def _sharing(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rows that have the time of another one."""
    known = np.flatnonzero(np.isfinite(seconds))
    _, which, counts = np.unique(seconds[known], return_inverse=True, return_counts=True)
    return known[counts[which] > 1]


def _differs(numbers: NDArray[np.float64], seconds: NDArray[np.float64], same: NDArray[np.int64]) -> bool:
    """Tell whether a column differs between rows of one time, of those that share theirs."""
    order = same[np.argsort(seconds[same], kind="stable")]
    changes = np.diff(np.nan_to_num(numbers[order])) != 0
    return bool((changes & (np.diff(seconds[order]) == 0)).any())


def _goes_forth(table: Table, time: Time | None, name: str) -> bool:
    """Tell whether times rise from row to row of each value of a column, of which there are several."""
    cells = ["" if is_missing(cell) else cell for cell in texts(table, name)]
    names, codes = np.unique(np.array(cells), return_inverse=True)
    if time is None or not 2 <= len(names) <= len(cells) / LEAST:
        return False
    order = np.argsort(codes, kind="stable")
    steps, same = np.diff(time.seconds[order]), np.diff(codes[order]) == 0
    return not bool((steps[same] <= 0).any())
