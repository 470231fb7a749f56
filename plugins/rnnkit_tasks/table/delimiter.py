"""How the lines of a table are cut into cells: what lies between these, and which lines hold none."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

DELIMITERS = "\t;|,"
NAMES = {"\t": "tab", ";": "semicolon", "|": "bar", ",": "comma", " ": "space"}
DECLARED = re.compile(r'\s*"?sep=(.)"?\s*', re.IGNORECASE)
ERRORS = re.compile(r"\s*#(?:N/A|REF!|VALUE!|DIV/0!|NAME\?|NUM!|NULL!)", re.IGNORECASE)
"""What a spreadsheet writes into a cell that it could not compute."""


class Comments:
    """Makes comment lines, which begin with #, blank; so that lines keep their numbers."""

    def __init__(self) -> None:
        self.count = 0
        self.last = ""
        """The last one above the first row, which may hold the names."""
        self._begun = False
        self._open = False  # within a quoted cell, whose lines are its own

    def blanked(self, lines: list[str]) -> list[str]:
        """Return lines, comments as blank ones."""
        text = "".join(lines)
        if "#" in text or '"' in text:
            return list(self._blanked(lines))
        self._begun = self._begun or not text.isspace()
        return lines

    def _blanked(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if line.startswith("#") and not self._open and not ERRORS.match(line):
                self.count += 1
                if not self._begun:
                    self.last = line
                yield "\n"
            else:
                self._begun = self._begun or not line.isspace()
                if '"' in line:
                    self._open ^= line.count('"') % 2 == 1
                yield line


def declared(line: str) -> str | None:
    """Return the delimiter of a line such as `sep=;`, with which spreadsheets begin a file; None of any other line."""
    match = DECLARED.fullmatch(line.rstrip("\n"))
    return match[1] if match else None


def sniffed(lines: Sequence[str], decimal: str | None = None) -> str:
    """Return the delimiter of lines that are not blank: what cuts most of them into one number of cells, above one.

    Where several do equally well, it is the first of tab, semicolon, bar and comma; where none does, a comma, unless
    decimals begin with one.
    """
    marks = DELIMITERS.replace(",", "") if decimal == "," and '"' not in "".join(lines) else DELIMITERS
    best, most = "," if "," in marks else ";", 0
    for mark in marks:
        try:
            widths = Counter(len(cells) for cells in csv.reader(lines, delimiter=mark, skipinitialspace=True) if cells)
        except csv.Error:  # whoever reads the file says so
            continue
        width, alike = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        if width > 1 and alike > most:
            best, most = mark, alike
    return best


def spoken(delimiter: str) -> str:
    """Name a delimiter in a message."""
    return NAMES.get(delimiter, repr(delimiter))
