"""A table whose rows are steps: columns of numbers, or of tokens, a column of labels, and maybe one of sequences."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnkit.errors import DataError, nearest
from rnnkit_tasks.forecast.roles import quoted
from rnnkit_tasks.labelled.columns import KEYS, LABELS, by_name, find_labels, names_above
from rnnkit_tasks.labelled.example import NO_LABEL, Example, Examples
from rnnkit_tasks.labelled.raw_table import RawTable, read_raw
from rnnkit_tasks.table.column import Column, column_of, unlike_numbers
from rnnkit_tasks.table.table import Table

TABLE = "table"
"""What the form is called."""


def read_step_table(path: Path, reading: dict[str, Any], kept: bool) -> Examples:
    """Read steps with labels.

    Args:
        path: of delimiter-separated text in UTF-8.
        reading: "columns", names of features; "label" and "key", of the labels' and the sequences' columns; "delimiter"
            and "header"; each None where it is to be found.
        kept: whether `reading` is that of a finished run, so that labels may lack.

    Raises:
        DataError: the file is unfit, or its columns cannot be told. UsageError: it lacks a column that was asked for.
    """
    asked = [reading.get("label"), reading.get("key"), *(reading.get("columns") or [])]
    known = (*LABELS, *KEYS)
    table = read_raw(
        path, reading.get("delimiter"), reading.get("header"), lambda rows: names_above(rows, asked, known)
    )
    label, key = _label_and_key(table, reading, kept)
    taken = [name for name in (label, key) if name is not None]
    features, left = _features(table, reading.get("columns"), taken, kept)
    numeric = all(_column(table, name).regular for name in features)
    if not numeric and len(features) == 1 and unlike_numbers(_column(table, features[0])):
        names: list[str] = []
    else:
        names = features
    groups = _groups(table, key)
    items = [_example(table, names, features, label, rows) for rows in groups]
    found = {"format": TABLE, "columns": features, "label": label or reading.get("label"), "key": key}
    found |= {"delimiter": table.delimiter, "header": table.header}
    together = sum(rows[-1] - rows[0] + 1 > len(rows) for rows in groups)
    notes = [f"labels: column {label}" if label else "labels: none"]
    notes += [f"sequences: column {key}, {len(groups)} of them" if key else "sequences: the table as a whole is one"]
    notes += [f"rows of {together} sequence(s) lie apart and are put together"] if together else []
    notes += [f"tokens: column {features[0]}"] if not names else []
    notes += table.passed_over()
    notes += [] if kept else [table.note]
    told = ", ".join(f"{quoted(name)} ({why})" for name, why in left.items())
    notes += [f"left out: {told}"] if left and not kept else []
    return Examples(str(path), items, names, found, notes)


def _label_and_key(table: RawTable, reading: dict[str, Any], kept: bool) -> tuple[str | None, str | None]:
    """Return the columns of the labels and of the sequences; None for one that there is not."""
    label, key = reading.get("label"), reading.get("key")
    if kept:
        if key is not None and key not in table.columns:
            raise _lacking(table, key)
        return (label if label in table.columns else None), key
    key = table.check(key) if key else by_name([name for name in table.columns if name != label], KEYS)
    if label:
        return table.check(label), key
    others = {name: cells for name, cells in table.columns.items() if name != key}
    words = {
        name: cells for name, cells in others.items() if unlike_numbers(_column(table, name)) in ("text", "yes/no")
    }
    named = by_name([*others], LABELS)
    if named is None and len(words) == 1:
        return next(iter(words)), key
    return named or find_labels(table.source, words or others, None), key


def _features(
    table: RawTable, asked: Sequence[str] | None, taken: Sequence[str], kept: bool
) -> tuple[list[str], dict[str, str]]:
    """Return the columns that are read, and of the others why they are not.

    Raises:
        DataError: there is none, or the run's are not there.
    """
    if asked:
        for name in asked:
            if kept and name not in table.columns:
                raise _lacking(table, name)
            table.check(name)
        return [*asked], {name: "not asked for" for name in table.columns if name not in (*asked, *taken)}
    whys = {name: unlike_numbers(_column(table, name)) for name in table.columns if name not in taken}
    for name, why in whys.items():
        if not why and not _column(table, name).regular:
            raise _as_table(table, [name]).fault(name, leave=False)
    numbers = [name for name, why in whys.items() if not why]
    texts = [name for name, why in whys.items() if why in ("text", "yes/no")]
    features = numbers or texts[:1]
    if not features or (not numbers and len(texts) > 1):
        what = f"several columns of words ({', '.join(texts[:5])})" if texts else "no column beside the labels"
        raise DataError(f"{table.source} has {what}; name those that are read with columns=")
    return features, {name: why or "not a number" for name, why in whys.items() if name not in features}


def _lacking(table: RawTable, name: str) -> DataError:
    near = nearest(name, table.columns)
    return DataError(f"{table.source} has no column {name!r}{near}, which the run reads; it has {table.has()}")


def _column(table: RawTable, name: str) -> Column:
    return column_of(table.columns[name])


def _as_table(table: RawTable, names: Sequence[str]) -> Table:
    columns = {name: _column(table, name) for name in names}
    return Table(table.source, columns, table.lines, table.delimiter, table.header)


def _groups(table: RawTable, key: str | None) -> list[list[int]]:
    """Return the rows of each sequence, in the order in which they begin."""
    if key is None:
        return [list(range(len(table.lines)))]
    groups: dict[str, list[int]] = {}
    for row, name in enumerate(table.columns[key]):
        if not name:
            raise DataError(f"{table.source}, line {table.lines[row]}, column {key!r}: the cell is empty; fill it in")
        groups.setdefault(name, []).append(row)
    return list(groups.values())


def _example(
    table: RawTable, names: Sequence[str], features: Sequence[str], label: str | None, rows: Sequence[int]
) -> Example:
    labels = [table.columns[label][row] if label else NO_LABEL for row in rows]
    lines = [table.lines[row] for row in rows]
    if not names:
        cells = [table.columns[features[0]][row] for row in rows]
        for cell, line in zip(cells, lines, strict=True):
            if not cell:
                raise DataError(f"{table.source}, line {line}, column {features[0]!r}: the cell is empty; fill it in")
        return Example(cells, labels, table.source, lines)
    numbers = _as_table(table, names).numbers([*names], leave=False)
    return Example(np.asarray(numbers[list(rows)]), labels, table.source, lines)
