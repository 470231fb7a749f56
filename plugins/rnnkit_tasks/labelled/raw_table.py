"""A table whose cells stay as they are written: texts and labels are no numbers, though they may look like some."""

import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rnnkit.errors import DataError, UsageError, nearest
from rnnkit_tasks.table.delimiter import declared, sniffed, spoken
from rnnkit_tasks.text.text_file import TextFile

SAMPLE = 200
"""Lines that the delimiter is found by."""

SHOWN = 12
"""Names of columns in a message."""


class RawTable(NamedTuple):
    """Columns by name, all cells as text without blanks around."""

    source: str
    columns: dict[str, list[str]]
    lines: list[int]
    """Of each row, the number of its line in the file, the first one where a text has several."""
    delimiter: str
    header: bool
    note: str
    """How the names of the columns were found."""
    empty: int
    """Rows with cells, all of which are empty."""

    def passed_over(self) -> list[str]:
        """Say which rows are not among these, if there are some."""
        return [f"passed over: {self.empty} row(s) of empty cells"] if self.empty else []

    def has(self) -> str:
        """Say which columns there are."""
        return ", ".join([*self.columns][:SHOWN]) + (", ..." if len(self.columns) > SHOWN else "")

    def check(self, name: str) -> str:
        """Return the name of a column that was asked for.

        Raises:
            UsageError: there is none.
        """
        if name not in self.columns:
            raise UsageError(
                f"{self.source} has no column {name!r}{nearest(name, self.columns)}; it has {self.has()}; cells are "
                f"cut at each {spoken(self.delimiter)}"
            )
        return name


def read_raw(
    path: Path, delimiter: str | None, header: bool | None, named: Callable[[Sequence[Sequence[str]]], str]
) -> RawTable:
    """Read a table; blank lines are passed over, and rows of empty cells, which are counted.

    Args:
        path: of a UTF-8 text file.
        delimiter: between cells; None: what the file declares (`sep=;`), or else what cuts its lines evenly.
        header: whether the first line holds names; None: `named` tells.
        named: says of all rows why the first holds names; "" if it does not.

    Raises:
        DataError: the file is unreadable, empty or binary, rows have different widths, or columns share a name.
    """
    text = [line for block in TextFile(path).blocks() for line in block]
    filled = [line for line in text[: 4 * SAMPLE] if not line.isspace()]
    mark = declared(filled[0]) if filled else None
    if mark is not None:
        text[text.index(filled.pop(0))] = "\n"
    delimiter = delimiter or mark or sniffed(filled[:SAMPLE])
    rows, lines, empty = _cells(path, text, delimiter)
    if not rows:
        raise DataError(f"{path} has nothing but blank lines; give a table with labels")
    why = ("as asked" if header else "") if header is not None else named(rows)
    first_line = lines[0]
    names = [str(place + 1) for place in range(len(rows[0]))]
    if why:
        names = [name or str(place + 1) for place, name in enumerate(rows.pop(0))]
        lines.pop(0)
        if not rows:
            raise DataError(f"{path} has no rows below the names in line {first_line}; give a table with labels")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"{path} has {names.count(twice)} columns called {twice!r}; give each a name of its own")
    note = f"names: line {first_line} ({why})" if why else "names: none, line 1 is a row (header=yes if it has names)"
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return RawTable(str(path), columns, lines, delimiter, bool(why), note, empty)


def _cells(path: Path, text: list[str], delimiter: str) -> tuple[list[list[str]], list[int], int]:
    """Cut lines into cells; return the rows that hold something, each one's first line, and how many others have cells.

    A line of blanks has none; a delimiter or a quote makes some.
    """
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=delimiter != "\t", strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    begun, empty = 1, 0
    usual = csv.field_size_limit(sys.maxsize)  # a text may be a book
    try:
        for cells in reader:
            line, begun = begun, reader.line_num + 1
            stripped = [cell.strip() for cell in cells]
            if not any(stripped):
                empty += not text[line - 1].isspace()
                continue
            if rows and len(cells) != len(rows[0]):
                raise DataError(
                    f"{path}, line {line}: {len(cells)} cell(s), {len(rows[0])} in line {lines[0]}; give "
                    f'all rows as many, and put texts in quotes, as "a, b"; cells are cut at each {spoken(delimiter)}'
                )
            rows.append(stripped)
            lines.append(line)
    except csv.Error as error:
        raise DataError(
            f'{path}, line {reader.line_num}: {error}; write a quote within quotes twice, as in "a ""b"" c"'
        ) from None
    finally:
        csv.field_size_limit(usual)
    return rows, lines, empty
