"""What a model reads of a table: each feature a number a row, made of a column or of the date."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.forecast.calendar import SAID, calendar, faces
from rnnkit_tasks.table.cells import NO, YES, is_missing
from rnnkit_tasks.table.series import texts
from rnnkit_tasks.table.source import Reading
from rnnkit_tasks.table.table import Table

Numbers = NDArray[np.float64]

NUMBER, ANSWER, CATEGORY, CALENDAR, MISSING = "number", "yes/no", "category", "calendar", "missing"
MEASURED = (NUMBER,)
"""Kinds that are brought to mean 0 and deviation 1; the others stay between -1 and 1."""

MOST_CATEGORIES = 20
OFTEN = 5
"""Rows a category, on average, from which on a column of words is one of categories."""


class Feature(NamedTuple):
    """A number a row."""

    kind: str
    name: str
    """Of the column, or of the part of the date."""
    face: str = ""
    """The category that is 1, or what a part of the date is written as."""
    ahead: bool = False
    """Whether it is known of later rows, too."""

    def __str__(self) -> str:
        return {
            CATEGORY: f"{self.name} = {self.face}",
            CALENDAR: f"{SAID.get(self.name, self.name)} ({self.face})",
            MISSING: f"{self.name} is missing",
        }.get(self.kind, self.name)


def features_of(
    table: Table,
    kinds: Mapping[str, str],
    training: NDArray[np.int64],
    parts: Sequence[str],
    ahead: Iterable[str] = (),
) -> list[Feature]:
    """Return the features of the columns that are inputs, and of parts of the date."""
    made: list[Feature] = []
    for name, kind in kinds.items():
        known = name in ahead
        if kind == CATEGORY:
            made += [Feature(kind, name, face, known) for face in categories(table, name, training)]
        else:
            made.append(Feature(kind, name, "", known))
    return made + [Feature(CALENDAR, part, face) for part in parts for face in faces(part)]


def flags_of(features: Sequence[Feature], values: Numbers) -> list[Feature]:
    """Return what tells that a number is missing, of those features (N, F) of which one is."""
    lacking = [f for at, f in enumerate(features) if f.kind != CALENDAR and not np.isfinite(values[:, at]).all()]
    return [Feature(MISSING, feature.name) for feature in lacking]


def categories(table: Table, name: str, training: NDArray[np.int64]) -> list[str]:
    """Return the different words of a column in the rows that train, the most frequent first; blanks are none."""
    cells = texts(table, name)
    counts = Counter(cell for row in training.tolist() if not is_missing(cell := cells[row]))
    return sorted(counts, key=lambda word: (-counts[word], word))


def is_categorical(table: Table, name: str, training: NDArray[np.int64]) -> bool:
    """Tell whether a column of words has few different ones, each often."""
    words = categories(table, name, training)
    blank = any(is_missing(cell) for cell in table.columns[name].odd_cells)
    return len(words) + blank >= 2 and 1 <= len(words) <= MOST_CATEGORIES and OFTEN * len(words) <= len(training)


def encoded(reading: Reading, features: Sequence[Feature], leave: bool, notes: list[str] | None = None) -> Numbers:
    """Return the features (N, F) of a table, NaN where a number is missing.

    Args:
        reading: the table.
        features: what is read of it.
        leave: whether a column that is unfit may be left out instead.
        notes: where categories that nobody has seen are told.

    Raises:
        DataError: a cell holds something else than it must.
    """
    table = reading.table
    made = np.empty((table.rows, len(features)))
    cells: dict[str, NDArray[np.str_]] = {}
    for at, feature in enumerate(features):
        name = feature.name
        if feature.kind == NUMBER:
            made[:, at] = numbers(table, name, leave)
        elif feature.kind == ANSWER:
            made[:, at] = answers(table, name, leave)
        elif feature.kind == CATEGORY:
            cells.setdefault(name, np.array(texts(table, name)))
            made[:, at] = cells[name] == feature.face
        elif feature.kind == CALENDAR:
            made[:, at] = calendar(reading.time, table.rows, name, feature.face)
        else:
            source = next(i for i, f in enumerate(features) if f.name == name and f.kind in (NUMBER, ANSWER))
            made[:, at] = ~np.isfinite(made[:, source])
    if notes is not None:
        notes += [_unseen(name, cells[name], features) for name in cells if _unseen(name, cells[name], features)]
    return made


def numbers(table: Table, name: str, leave: bool) -> Numbers:
    """Return the numbers of a column (N,), NaN where one is missing.

    Raises:
        DataError: a cell holds something else.
    """
    column = table.column(name)
    if not all(map(is_missing, column.odd_cells)):
        raise table.fault(name, leave)
    return column.numbers


def answers(table: Table, name: str, leave: bool) -> Numbers:
    """Return 1 for yes, 0 for no, NaN where a cell is empty (N,).

    Raises:
        DataError: a cell holds something else.
    """
    column = table.column(name)
    found = column.numbers.copy()  # some write 1 and 0 between
    strange = np.flatnonzero(np.isfinite(found) & (found != 0) & (found != 1))
    if len(strange):
        raise table.odd(int(strange[0]), name, f"'{found[strange[0]]:.15g}' is neither yes nor no, nor 1 or 0", leave)
    for row, cell in zip(column.odd_rows, column.odd_cells, strict=True):
        word = cell.strip().lower()
        if word not in YES and word not in NO and not is_missing(cell):
            raise table.odd(row, name, f"{cell[:40]!r} is neither yes nor no", leave)
        found[row] = 1.0 if word in YES else 0.0 if word in NO else np.nan
    return found


def _unseen(name: str, cells: NDArray[np.str_], features: Sequence[Feature]) -> str:
    known = {feature.face for feature in features if feature.name == name}
    new = Counter(cell for cell in cells.tolist() if cell not in known and not is_missing(cell))
    if not new:
        return ""
    return (
        f"{sum(new.values())} row(s) of {name!r} hold what the run has not seen, such as {next(iter(new))[:40]!r}; "
        "they are none of its categories"
    )
