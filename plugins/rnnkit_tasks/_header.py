"""Whether the first line of a table holds the names of its columns."""

from collections.abc import Sequence

import numpy as np

from rnnkit.errors import DataError
from rnnkit_tasks._cells import is_missing, is_word, number, written
from rnnkit_tasks._column import Column
from rnnkit_tasks._dates import dates
from rnnkit_tasks._stamps import counter

SAMPLE = 200
"""Cells of a column that are looked at."""


def has_names(source: str, line: int, first: Sequence[str], columns: Sequence[Column]) -> str:
    """Say why the first line holds names; "" if it does not.

    Args:
        source: what to call the table.
        line: the number of the first line.
        first: its cells.
        columns: what stands below.

    Raises:
        DataError: it may be the one or the other.
    """
    if not columns[0].rows:
        return ""
    below = [column.top(SAMPLE) for column in columns]
    for cell, cells in zip(first, below, strict=True):
        if _names_something(cell) and _numeric(cells):
            return "words above numbers"
        if dates([cell]) is None and dates(cells) is not None:
            return f"{'a word' if is_word(cell) else 'a number' if cell.strip() else 'an empty cell'} above dates"
    if first[0].strip() or len(first) < 2 or not all(np.isfinite(number(cell)) for cell in first[1:]):
        return ""
    if columns[0].regular and counter("", columns[0].numbers):
        return "an empty cell above a counter"
    if not any(map(is_missing, below[0])):
        raise DataError(
            f"{source}, line {line}: an empty cell and then numbers, which may be names or a row; give header=yes or "
            "header=no"
        )
    return ""


def _names_something(cell: str) -> bool:
    return is_word(cell) and not is_missing(cell) and written(cell) is None and dates([cell]) is None


def _numeric(cells: Sequence[str]) -> bool:
    """Tell whether most cells hold numbers, or look like it."""
    filled = [cell for cell in cells if not is_missing(cell)]
    found = sum(not np.isnan(number(cell)) or written(cell) is not None for cell in filled)
    return 2 * found > len(filled)
