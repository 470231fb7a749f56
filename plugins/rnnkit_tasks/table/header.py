"""Whether the first line of a table holds the names of its columns."""

import re
from collections.abc import Sequence

import numpy as np

from rnnkit.errors import DataError
from rnnkit_tasks.table.cells import is_missing, is_word, number, written
from rnnkit_tasks.table.column import Column
from rnnkit_tasks.table.dates import dates
from rnnkit_tasks.table.stamps import counter

WHOLE = re.compile(r"[+-]?\d{1,15}")

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
    if _far_numbers(first, columns):
        raise DataError(
            f"{source}, line {line}: {', '.join(first)[:60]!r} may be names or a row, for these whole numbers are far "
            "from those below; give header=yes or header=no"
        )
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


def _far_numbers(first: Sequence[str], columns: Sequence[Column]) -> bool:
    """Tell whether whole numbers stand in the first line, beside a word or a row number maybe, unlike those below."""
    if columns[0].rows < 3 or any(
        dates([cell]) is not None for cell in first if is_word(cell)
    ):  # as names go, no dates
        return False
    begin = 0 if is_far(first[0], columns[0]) else 1
    pairs = list(zip(first, columns, strict=True))[begin:]
    if not pairs or len({cell.strip() for cell, _ in pairs}) < len(pairs) or (begin and first[0].strip() == ""):
        return False
    if begin and len(pairs) < 2 and not is_word(first[0]):
        return False
    if all(is_far(cell, column) for cell, column in pairs):
        return True
    # 0, 1, 2, ... or 2019, 2020, ... above numbers with a fraction
    pairs = [pair for pair in zip(first, columns, strict=True) if WHOLE.fullmatch(pair[0].strip())]
    steps = np.diff([float(cell) for cell, _ in pairs])
    fractions = all(column.regular and (column.numbers % 1 != 0).mean() > 0.5 for _, column in pairs)
    return len(pairs) >= max(3, len(first) - 1) and bool((steps == 1).all()) and fractions


def is_far(cell: str, column: Column) -> bool:
    """Tell whether a cell is a whole number, more than three times as far from those of a column as they span."""
    if not WHOLE.fullmatch(cell.strip()) or 2 * len(column.odd_cells) > column.rows:
        return False
    numbers = column.numbers[np.isfinite(column.numbers)]
    least, most = numbers.min(), numbers.max()
    return not least - 3 * (most - least) <= float(cell) <= most + 3 * (most - least)


def _names_something(cell: str) -> bool:
    return is_word(cell) and not is_missing(cell) and written(cell) is None and dates([cell]) is None


def _numeric(cells: Sequence[str]) -> bool:
    """Tell whether most cells hold numbers, or look like it."""
    filled = [cell for cell in cells if not is_missing(cell)]
    numeric = sum(not np.isnan(number(cell)) or written(cell) is not None for cell in filled)
    return 2 * numeric > len(filled)
