"""Columns of a table, fitted to a terminal: text is folded, columns are left out, and no figure is ever cut."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

GAP = 3
"""Between two columns."""

LEGIBLE, LONG = 16, 24
"""A column of text is folded to the first of these at most; a word longer than the second is folded too."""

BREAKS = re.compile(r"(?<=\s)|(?<=\w[-/])(?<!\d[eE]-)|(?<=_)")
"""Where text may be folded: after a space, and within a name or path, but not within a figure such as 1e-05."""


class Column(NamedTuple):
    """A heading and what stands under it."""

    heading: str
    cells: list[str]
    number: bool
    """Its cells hold figures, which are not folded."""

    @property
    def natural(self) -> int:
        """The width at which nothing is folded."""
        return max(_width(line) for text in (self.heading, *self.cells) for line in text.split("\n"))

    @property
    def least(self) -> int:
        """The width below which it cannot be read."""
        if self.number:
            return max(*map(_width, (*self.cells, "")), *map(_width, _pieces(self.heading)))
        longest = max(_width(piece) for text in (self.heading, *self.cells) for piece in _pieces(text))
        return min(self.natural, max(LEGIBLE, min(longest, LONG)))

    def folded(self, width: int) -> "Column":
        """Give it with line breaks, so that it is as wide as that."""
        cells = self.cells if self.number else [fold(text, width) for text in self.cells]
        return self._replace(heading=fold(self.heading, width), cells=cells)


def fitted(columns: Sequence[Column], width: int, less: Sequence[str] = ()) -> tuple[list[Column], list[str]]:
    """Fit columns to a width.

    Args:
        columns: of a table, from left to right.
        width: in characters.
        less: headings of those that are left out first, in that order; then the last one goes, and so on. The first
            column stays.

    Returns:
        The columns that there is room for, folded, and the headings of those that are left out.
    """
    spared = [k for heading in dict.fromkeys(less) for k, column in enumerate(columns) if column.heading == heading]
    order = iter([*spared, *(k for k in reversed(range(1, len(columns))) if k not in spared)])
    hidden: set[int] = set()
    while len(hidden) < len(columns) - 1 and _total(c.least for k, c in enumerate(columns) if k not in hidden) > width:
        hidden.add(next(order))
    shown = [column for k, column in enumerate(columns) if k not in hidden]
    folded = [column.folded(wide) for column, wide in zip(shown, _shared(shown, width), strict=True)]
    return folded, [column.heading.strip() for k, column in enumerate(columns) if k in hidden]


def fold(text: str, width: int) -> str:
    """Break text into lines of at most `width`, at its spaces and within names; all of it stays."""
    from rich.cells import chop_cells

    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for piece in _pieces(paragraph):
            if line and _width(line + piece.rstrip()) > width:
                lines.append(line.rstrip())
                line = ""
            *whole, rest = (
                chop_cells(line + piece, width) if _width((line + piece).rstrip()) > width else [line + piece]
            )
            lines += whole
            line = rest
        lines.append(line.rstrip())
    return "\n".join(lines)


def _shared(columns: Sequence[Column], width: int) -> list[int]:
    """Share out what is left of the width among the columns that would be wider."""
    widths = [min(column.least, width) for column in columns]
    while (left := width - _total(widths)) > 0:
        wanting = [k for k, column in enumerate(columns) if column.natural > widths[k]]
        if not wanting:
            break
        for k in wanting[:left]:
            widths[k] += max(1, min(left // len(wanting), columns[k].natural - widths[k]))
    return widths


def _total(widths: Iterable[int]) -> int:
    found = list(widths)
    return sum(found) + GAP * (len(found) - 1)


def _pieces(text: str) -> list[str]:
    return [piece for piece in BREAKS.split(text) if piece] or [""]


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text.rstrip())
