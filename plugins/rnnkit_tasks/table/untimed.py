"""The order of rows whose time no column is known to tell: by what looks like dates, and by what counts."""

from collections.abc import Container, Mapping

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError
from rnnkit_tasks.table.dates import dates
from rnnkit_tasks.table.moments import SEVERAL, UNREAD
from rnnkit_tasks.table.order import PUT_BACK, TURN
from rnnkit_tasks.table.stamps import counter, numbers_rows, one_way, tells_time
from rnnkit_tasks.table.table import Table
from rnnkit_tasks.table.unread import unread


def check_untimed(table: Table, whys: Mapping[str, str], left_out: Container[str] = (), kept: bool = False) -> None:
    """Raise DataError if the newest row may come first: there are dates that cannot be read, or a column counts down.

    Args:
        table: as it stands in the file.
        whys: what columns have to do with time, by name.
        left_out: columns that are not looked at.
        kept: whether it is that of a finished run, whose columns are known.
    """
    if not any(column.regular for column in table.columns.values()):
        return  # it has no numbers, which is said with more sense
    for name, why in whys.items():
        if why in (SEVERAL, UNREAD) and not kept:
            cells = table.columns[name].cells()
            shown = (
                f"which begin with {cells[0][:40]!r}" if why == SEVERAL else f"such as {(unread(cells) or '')[:40]!r}"
            )
            raise DataError(
                f"{table.source}: column {name!r} has {why}, {shown}, so whether the oldest row comes first is not "
                "known; write dates as 2024-01-31, or leave the column out (leave_out), or give order=oldest-first"
            )
    likely, others = _directions(table, whys, left_out)
    for directions in (likely, others):
        down = next((name for name, forth in directions.items() if not forth), None)
        if down is not None and not any(directions.values()):
            top = table.columns[down].top(table.rows)
            first, last = (f"{top[at]} in line {table.lines[at]}" for at in (0, -1))
            raise DataError(
                f"{table.source}: column {down!r} counts down, from {first} to {last}, so the newest row may "
                f"come first; {PUT_BACK if kept else TURN}"
            )
        if directions:
            return


def _directions(
    table: Table, whys: Mapping[str, str], left_out: Container[str]
) -> tuple[dict[str, bool], dict[str, bool]]:
    """Return which columns count, by name, and whether they go forth: those that are likely to tell the time; others.

    A column of numbers that is alone is what the table is about.
    """
    likely: dict[str, bool] = {}
    others: dict[str, bool] = {}
    numeric = {name: column.numbers for name, column in table.columns.items() if column.regular and column.rows > 2}
    for name, column in table.columns.items():
        if name in left_out:
            continue
        if whys.get(name) == "times of day":
            times = dates(column.cells())
            forth = None if times is None else _mostly_forth(times.seconds)
        elif name in numeric and len(numeric) > 1:
            forth = _forth(name, numeric[name], name == next(iter(table.columns)))
        else:
            continue
        if forth is not None:
            known = name not in numeric or tells_time(name, numeric[name])
            (likely if known else others)[name] = forth
    return likely, others


def _forth(name: str, numbers: NDArray[np.float64], first: bool) -> bool | None:
    """Tell whether a column that counts goes forth; None if it does not count, or goes both ways."""
    counts = counter(name, numbers)
    if counts == "a part of the date":
        return _mostly_forth(numbers)
    if not (counts or first or numbers_rows(name) or tells_time(name, numbers)) or not one_way(numbers):
        return None
    strict = bool((np.diff(numbers) != 0).all())
    return bool(numbers[-1] > numbers[0]) if counts or strict or tells_time(name, numbers) else None


def _mostly_forth(values: NDArray[np.float64]) -> bool | None:
    """Tell which way rows mostly go; None if they go both ways."""
    steps = np.diff(values[np.isfinite(values)])
    forth, back = int((steps > 0).sum()), int((steps < 0).sum())
    return True if forth > 2 * back else False if back > 2 * forth else None
