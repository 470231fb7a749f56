"""What is in the way where a file is no table, or is cut at the wrong places; for the remedy in a message."""

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from rnnkit_tasks.table.cells import number
from rnnkit_tasks.table.stamps import counter

OTHERS = {
    "JSON": re.compile(r'\s*(?:\{|\[\s*(?:[\[{"\d-]|$))'),
    "HTML or XML": re.compile(r"\s*<[a-z!?]", re.IGNORECASE),
}
INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d*)")
PART = re.compile(r"\d{1,9}")
FEW = 50
"""Rows: among so many, hardly a decimal part of two digits or more does without a 0 at its beginning."""


def other_format(line: str) -> str | None:
    """Return what a file that begins with such a line is in place of a table; None: it may be one."""
    return next((name for name, form in OTHERS.items() if form.match(line)), None)


def decimal_comma(rows: Sequence[Sequence[str]]) -> str | None:
    """Return a number such as 20,84 that a comma may have cut into two cells, if a column of such parts is there."""
    for at, (whole, part) in enumerate(pairwise(zip(*rows, strict=True))):
        if not (all(map(INTEGER.fullmatch, whole)) and all(map(PART.fullmatch, part))):
            continue
        zero = next((row for row, cell in enumerate(part) if len(cell) > 1 and cell[0] == "0"), None)
        if zero is not None:
            return f"{whole[zero]},{part[zero]}"
        widths = set(map(len, part))
        alone = at == 0 and len(rows[0]) == 2 and len(rows) > 2 and len(widths) == 1
        if not alone or counter("", np.array([float(cell) for cell in whole])):
            continue
        if (widths == {1} and any(len(cell) > 1 for cell in whole)) or (widths != {1} and len(rows) < FEW):
            return f"{whole[0]},{part[0]}"
    return None


def ragged(cells: Sequence[str], width: int, delimiter: str, first_line: int) -> str:
    """Say what may be the matter with a row that has not as many cells as the first; "" if that is not known."""
    pairs = sum(bool(INTEGER.fullmatch(whole) and PART.fullmatch(part)) for whole, part in pairwise(cells))
    if delimiter == "," and len(cells) > width and pairs >= len(cells) - width:
        return "; if commas are decimal, as in 20,84, write points (20.84), or name another delimiter"
    if width == 1:
        return f"; if line {first_line} is a title or a comment, begin it with #"
    return ""


def by_spaces(cells: Sequence[str]) -> bool:
    """Tell whether cells hold several numbers each, with spaces between."""
    parts = [cell.split() for cell in cells[:100]]
    several = sum(len(few) > 1 and sum(not np.isnan(number(part)) for part in few) > len(few) / 2 for few in parts)
    return 2 * several > len(parts)
