"""Columns of a table, fitted to a terminal: text is folded, columns are left out, and no figure is ever cut."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

GAP = 3
"""Between two columns."""

LEGIBLE, LONG = 16, 24
"""A column of text is folded to the first of these at most; a word longer than the second is folded too."""

SHORTEST, TALLEST = 2, 3
"""A name in front of figures that are kept: characters that it has at least, and lines at most."""

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
        """Return it with line breaks, so that it is as wide as that."""
        cells = self.cells if self.number else [fold(text, width) for text in self.cells]
        return self._replace(heading=fold(self.heading, width), cells=cells)

    def narrowed(self, width: int) -> "Column":
        """Return it as wide as that: a text that would take many lines is shortened in its middle."""
        cells = []
        for text in self.cells:
            folded = fold(text, width)
            cells.append(folded if folded.count("\n") < TALLEST else shortened(text, width))
        return self._replace(heading=fold(self.heading, width), cells=cells)


def fitted(
    columns: Sequence[Column], width: int, less: Sequence[str] = (), keep: Sequence[str] = ()
) -> tuple[list[Column], list[str]]:
    """Fit columns to a width.

    Args:
        columns: of a table, from left to right.
        width: in characters.
        less: headings of those that are left out first, in that order; then the last one goes, and so on. The first
            column stays.
        keep: headings of those that are left out last, in that order; before that, the first column is narrowed,
            and no text in it takes many lines.

    Returns:
        The columns that there is room for, folded, and the headings of those that are left out.
    """
    hidden: set[int] = set()
    for k in _spared(columns, less, keep):
        needed = [column.least for j, column in enumerate(columns) if j not in hidden]
        if _total(needed) <= width:
            break
        room = width - _total(needed) + needed[0]
        if columns[k].heading in keep and room >= SHORTEST:
            columns = [columns[0].narrowed(room), *columns[1:]]
            break
        hidden.add(k)
    shown = [column for k, column in enumerate(columns) if k not in hidden]
    widths = _shared(shown, width)
    folded = [column.folded(wide) for column, wide in zip(shown, widths, strict=True)]
    if keep:
        folded[0] = shown[0].narrowed(widths[0])
    return folded, [column.heading.strip() for k, column in enumerate(columns) if k in hidden]


def _spared(columns: Sequence[Column], less: Sequence[str], keep: Sequence[str]) -> list[int]:
    """Return all columns but the first, in the order in which they can be spared."""
    after = [k for heading in dict.fromkeys(keep) for k, column in enumerate(columns) if column.heading == heading]
    first = [k for heading in dict.fromkeys(less) for k, column in enumerate(columns) if column.heading == heading]
    first = [k for k in first if k not in after]
    return [*first, *(k for k in reversed(range(1, len(columns))) if k not in {*first, *after}), *after]


def shortened(text: str, width: int) -> str:
    """Leave out the middle of a text that is wider than `width`; an ellipsis stands for it."""
    from rich.cells import chop_cells

    text = " ".join(text.split())
    if _width(text) <= width:
        return text
    head, tail = (width - 1) // 2, width - 1 - (width - 1) // 2
    start = chop_cells(text, head)[0] if head else ""
    end = chop_cells(text[::-1], tail)[0][::-1] if tail else ""
    return f"{start}…{end}"


def wrapped(text: str, width: int) -> str:
    """Fold lines at their spaces, each under its own beginning, an item of a list behind its dash.

    Only a word that is wider than all is cut.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        more = f"{indent}    " if indent and len(indent) + 4 < width // 2 else indent
        more += "  " if line.lstrip().startswith("- ") else ""
        lines += textwrap.wrap(line, max(width, 2), subsequent_indent=more, break_on_hyphens=False) or [""]
    return "\n".join(lines)


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
    listed = list(widths)
    return sum(listed) + GAP * (len(listed) - 1)


def _pieces(text: str) -> list[str]:
    return [piece for piece in BREAKS.split(text) if piece] or [""]


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text.rstrip())
