"""The rows of a file of delimiter-separated values, gathered into columns block by block."""

import csv
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from rnnkit.errors import DataError
from rnnkit_tasks.table.column import Column
from rnnkit_tasks.table.delimiter import Comments, declared, sniffed, spoken
from rnnkit_tasks.table.obstacles import other_format, ragged
from rnnkit_tasks.text.text_file import TextFile

SAMPLE = 200
"""Lines that the delimiter is found by; read with care, too, to learn which columns hold numbers."""

TOGETHER = 8192


class Rows:
    """Reads a file; afterwards `columns` are filled.

    Blank lines and comments are passed over. Plain blocks of lines, without quotes, go to `numpy.loadtxt`; all that is
    not quite plain to Python's `csv`.

    Raises:
        DataError: the file is unreadable, empty or binary, or rows have different widths.
    """

    def __init__(self, path: Path, delimiter: str | None, decimal: str | None = None) -> None:
        self.path, self.decimal = path, decimal
        self.comments = Comments()
        self.first: list[str] = []
        """The cells of the first row, which may be names; not among `columns`."""
        self.first_line = 0
        self.columns: list[Column] = []
        self.sample: list[list[str]] = []
        """The cells of the first rows, the first of all among them."""
        self.lines: list[int] = []
        """Of each row below the first, the number of its line in the file."""
        self._read = 0  # lines
        blocks = map(self.comments.blanked, TextFile(path).blocks())
        opening = self._opening(blocks)
        head, mark = self._beginning(opening)
        if head and (other := other_format(head[0])):
            raise DataError(f"{path} looks like {other}, not like a table; write it as text, a row a line: 1.5,2.5")
        self.delimiter = delimiter or mark or sniffed(head, decimal)
        self._careful(iter(opening))
        for block in blocks:
            if not self._plain(block):
                self._careful(chain(block, chain.from_iterable(blocks)) if '"' in "".join(block) else iter(block))

    def _opening(self, blocks: Iterator[list[str]]) -> list[str]:
        """Take blocks until there are lines enough to judge by."""
        opening: list[str] = []
        for block in blocks:
            opening += block
            if sum(not line.isspace() for line in opening) >= SAMPLE and "".join(opening).count('"') % 2 == 0:
                break
        return opening

    def _beginning(self, opening: list[str]) -> tuple[list[str], str | None]:
        """Return the first lines that are not blank, and the delimiter that the file declares in a line of its own."""
        filled = [at for at, line in enumerate(opening) if not line.isspace()]
        mark = declared(opening[filled[0]]) if filled else None
        if mark is not None:
            opening[filled.pop(0)] = "\n"
        return [opening[at] for at in filled[:SAMPLE]], mark

    def _careful(self, lines: Iterator[str]) -> None:
        """Read lines by `csv`."""
        before = self._read
        reader = csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True, strict=True)
        try:
            while rows := list(islice(self._filled(reader, before), TOGETHER)):
                self._take(rows)
        except csv.Error as error:
            raise DataError(
                f"{self.path}, line {before + reader.line_num}: {error}; correct it, or give another file"
            ) from None
        self._read = before + reader.line_num

    @staticmethod
    def _filled(reader: Any, before: int) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows that are not blank."""
        for cells in reader:
            if len(cells) > 1 or "".join(cells).strip():
                yield before + reader.line_num, cells

    def _take(self, rows: list[tuple[int, list[str]]]) -> None:
        if not self.first:
            self.sample = [cells for _, cells in rows[:SAMPLE]]
            self.first_line, self.first = rows.pop(0)
            self.columns = [Column(decimal=self.decimal) for _ in self.first]
        width = len(self.first)
        for line, cells in rows:
            if len(cells) != width:
                raise DataError(
                    f"{self.path}, line {line}: {len(cells)} cell(s), {width} in line {self.first_line}; give all rows "
                    f"as many; cells are cut at each {spoken(self.delimiter)}"
                    f"{ragged(cells, width, self.delimiter, self.first_line)}"
                )
        if rows:
            self.lines += [line for line, _ in rows]
            for column, below in zip(self.columns, zip(*(cells for _, cells in rows), strict=True), strict=True):
                column.append(below)

    def _plain(self, block: list[str]) -> bool:
        """Read lines at once, if each is a row of so many cells without quotes, and numbers stand where they did."""
        width, mark, text = len(self.columns), self.delimiter, "".join(block)
        if self.decimal or not width or '"' in text or mark == " " or (width == 1 and not all(map(str.strip, block))):
            return False
        if text.count(mark) != (width - 1) * len(block):  # then a row is too long; loadtxt raises if one is too short
            return False
        regular = [at for at, column in enumerate(self.columns) if column.regular]
        others = [at for at, column in enumerate(self.columns) if not column.regular]
        try:
            numbers = _loaded(block, mark, regular, float)
            words = _loaded(block, mark, others, str)
        except ValueError:
            return False
        if not len(numbers) == len(words) == len(block) or not np.isfinite(numbers).all():
            return False
        for at, column in zip(regular, np.ascontiguousarray(numbers.T), strict=True):
            self.columns[at].append_numbers(column)
        for at, cells in zip(others, words.T, strict=True):
            append = self.columns[at].append_words if _are_dates(cells) else self.columns[at].append
            append(cells.tolist())
        self.lines.extend(range(self._read + 1, self._read + len(block) + 1))
        self._read += len(block)
        return True


def _loaded(block: Sequence[str], mark: str, places: list[int], kind: type) -> np.ndarray:
    if not places:
        return np.zeros((len(block), 0))
    return np.loadtxt(block, delimiter=mark, usecols=places, dtype=kind, comments=None, ndmin=2)


def _are_dates(cells: np.ndarray) -> bool:
    """Tell whether each of many cells has the beginning of a date, 2020-, and so holds no number."""
    if cells.dtype.itemsize < 5 * np.dtype("U1").itemsize:
        return False
    signs = np.ascontiguousarray(cells).view(np.uint32).reshape(len(cells), -1)  # the code points
    return bool(((signs[:, 4] == ord("-")) & (signs[:, 3] >= ord("0")) & (signs[:, 3] <= ord("9"))).all())
