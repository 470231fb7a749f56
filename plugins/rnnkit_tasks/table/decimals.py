"""Numbers with a comma before their decimals, or with marks between their thousands: which of both a table has."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.table.cells import is_missing, number

MARK = "[ '’\u00a0\u202f]"
"""Between thousands, whatever the decimals begin with."""

POWER = r"(?:[eE][+-]?\d+)?"
FORMS = {
    decimal: re.compile(
        rf"[+-]?(?:\d{{1,3}}(?:{thousands}\d{{3}})+|\d{{1,3}}(?:{MARK}\d{{3}})+|\d+)?(?:{re.escape(decimal)}\d+)?{POWER}"
    )
    for decimal, thousands in ((",", r"\."), (".", ","))
}
"""By what the decimals begin with: how a number is written, its thousands marked or not."""

SAID = {",": ("decimals after a comma, as in", "20,84"), ".": ("marks between thousands, as in", "1,234")}

SHORT = 0.3
"""Of numbers such as 1.230, that are read as 1.23, a share that thousands do not have: one in ten ends in 0."""

OFTEN = 0.02
"""Of the cells of a column, a share from which on a manner of writing is no slip."""

ENOUGH = 1000
"""Cells of a column that are looked at."""


class Odd(Protocol):
    """What is asked of a column."""

    odd_cells: list[str]

    @property
    def numbers(self) -> NDArray[np.float64]:
        """(N,), NaN where a cell holds none."""


def convention(columns: Sequence[Odd]) -> str | None:
    """Return what decimals begin with in columns that no point alone explains; None: that is not needed, or not known.

    A column tells if all its cells that are no numbers are written in one way and one of them in no other: 1,234 may be
    either, 17,84 and 1.234,50 may not.
    """
    found = set()
    for column in columns:
        filled = [cell.strip() for cell in column.odd_cells if not is_missing(cell)]
        if len(filled) < OFTEN * len(column.numbers):
            continue
        few = filled[:: len(filled) // ENOUGH + 1]
        fitting = {decimal for decimal, form in FORMS.items() if few and all(_fits(cell, form) for cell in few)}
        told = {decimal for decimal in fitting if any(not _fits(cell, FORMS[_other(decimal)]) for cell in few)}
        neutral = {"."} if len(fitting) == 2 and all("," not in cell and cell.count(".") < 2 for cell in few) else set()
        found |= told or neutral
    if found == {","} and any(_has_points(column.numbers) for column in columns):
        return None
    return found.pop() if len(found) == 1 else None


def told(decimal: str, columns: Sequence[Odd]) -> str:
    """Say how numbers are written, by a cell of the columns where one is there that no point alone explains."""
    said, usual = SAID[decimal]
    cells = (cell.strip() for column in columns for cell in column.odd_cells)
    return f"{said} {next((cell for cell in cells if _fits(cell, FORMS[decimal])), usual)}"


def asked_by(cells: Sequence[str], columns: Iterable[Odd], but: str) -> list[tuple[str, float]]:
    """Return what decimals may begin with so that odd cells of a column are numbers, and the first of them by each.

    Args:
        cells: of the column.
        columns: all of the table; where one has decimals after a point, commas are none.
        but: what they cannot begin with, for cells are cut there.
    """
    filled = [cell for cell in cells if not is_missing(cell)]
    barred = {but, "," if any(_has_points(column.numbers) for column in columns) else ""}
    return [
        (decimal, value(filled[0], decimal))
        for decimal in FORMS
        if decimal not in barred and filled and all(math.isfinite(value(cell, decimal)) for cell in filled)
    ]


def _has_points(numbers: NDArray[np.float64]) -> bool:
    """Tell whether numbers have decimals after a point, which are not thousands: 12.83, but not 1.234."""
    parts = numbers[np.isfinite(numbers) & (numbers != np.round(numbers))][:ENOUGH]
    thousandths = parts * 1000
    whole = np.abs(thousandths - np.round(thousandths)) < 1e-6 * np.maximum(1, np.abs(thousandths))
    short = np.round(thousandths) % 10 == 0
    return bool(len(parts)) and (not whole.all() or bool(short.mean() > SHORT))


def value(cell: str, decimal: str | None) -> float:
    """Return the number that a cell holds, NaN for all else; without `decimal`, one with a point and no marks."""
    if decimal is None:
        return number(cell)
    text = cell.strip()
    if not _fits(text, FORMS[decimal]):
        plain = number(text)
        return plain if math.isinf(plain) else math.nan
    return float(re.sub("[.,]|" + MARK, lambda mark: "." if mark[0] == decimal else "", text))


def values(cells: Sequence[str], decimal: str | None) -> Iterable[float]:
    """Return the numbers of cells."""
    return (value(cell, decimal) for cell in cells)


def _other(decimal: str) -> str:
    return "." if decimal == "," else ","


def _fits(cell: str, form: re.Pattern[str]) -> bool:
    return any(map(str.isdigit, cell)) and form.fullmatch(cell) is not None
