"""Several series in one table: the rows of each brought together, told by a column that is their key."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError
from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.table import Table


class Series(NamedTuple):
    """Rows of a table that follow each other in time."""

    name: str
    """What the key column calls it; "" where the table is one series."""
    rows: range


def grouped(table: Table, key: str, merged: bool = False) -> tuple[NDArray[np.int64], list[Series]]:
    """Return the order of rows (N,) that brings those of a series together, and the series in order of appearance.

    Raises:
        DataError: a key is empty.
    """
    cells = names_of(table, key, merged)
    codes = {name: code for code, name in enumerate(dict.fromkeys(cells))}
    order = np.argsort(np.array([codes[cell] for cell in cells]), kind="stable")
    counts = np.bincount([codes[cell] for cell in cells])
    return order, laid(zip(codes, counts.tolist(), strict=True))


def names_of(table: Table, key: str, merged: bool = False) -> list[str]:
    """Return the name of the series of each row (N,).

    Args:
        table: of several series.
        key: the column of their names, whatever they are: NA is one.
        merged: whether rows whose key stands for nothing (NA, -, an empty cell) are one series, called "", as they
            were to runs of before.

    Raises:
        DataError: a key is empty.
    """
    cells = list(texts(table, key))
    if merged:
        return ["" if is_missing(cell) else cell for cell in cells]
    if "" in cells:
        line = min(line for line, cell in zip(table.lines, cells, strict=True) if not cell)
        raise DataError(
            f"{table.source}, line {line}, column {key!r}: the cell is empty; fill in of which series the row is"
        )
    return cells


def laid(sizes: Iterable[tuple[str, int]]) -> list[Series]:
    """Return series of so many rows, one behind the other."""
    made: list[Series] = []
    begin = 0
    for name, rows in sizes:
        made.append(Series(name, range(begin, begin + rows)))
        begin += rows
    return made


def texts(table: Table, name: str) -> Sequence[str]:
    """Return the cells of a column as they stand, numbers as they are read."""
    column = table.columns[name]
    if column.regular:
        return [f"{value:.0f}" if value == int(value) else f"{value:.15g}" for value in column.numbers.tolist()]
    return [cell.strip() for cell in column.top(column.rows)]
