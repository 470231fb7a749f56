"""A table with a text and a label in each row."""

from pathlib import Path
from typing import Any

from rnnkit.errors import DataError, nearest
from rnnkit_tasks.labelled.columns import LABELS, TEXTS, by_name, find_labels, find_text, left_out, names_above
from rnnkit_tasks.labelled.example import NO_LABEL, Example, Examples
from rnnkit_tasks.labelled.raw_table import RawTable, read_raw


def read_text_table(path: Path, reading: dict[str, Any], kept: bool) -> Examples:
    """Read texts and labels.

    Args:
        path: of delimiter-separated text in UTF-8.
        reading: "text" and "label", names of columns; "delimiter" and "header"; each None where it is to be found.
        kept: whether `reading` is that of a finished run, so that labels may lack.

    Raises:
        DataError: the file is unfit, or its columns cannot be told.
        UsageError: it lacks a column that was asked for.
    """
    asked = reading.get("text"), reading.get("label")
    table = read_raw(
        path,
        reading.get("delimiter"),
        reading.get("header"),
        lambda rows: names_above(rows, asked, (*TEXTS, *LABELS)),
    )
    text, label = asked
    if kept and text is None:  # the run learnt from files of another kind
        label = by_name([*table.columns], LABELS)
        text = find_text(table.source, table.columns, label, "call the column 'text'")
    elif kept:
        text, label = _known(table, str(text)), label if label in table.columns else None
    else:
        label = table.check(label) if label else find_labels(table.source, table.columns, text)
        text = (
            table.check(text) if text else find_text(table.source, table.columns, label, "name the column with text=")
        )
    if text == label:
        raise DataError(f"{path}: column {text!r} cannot hold both texts and labels; name another with text= or label=")
    labels = table.columns[label] if label else [NO_LABEL] * len(table.lines)
    items = [
        Example(content, [name], str(path), [line])
        for content, name, line in zip(table.columns[text], labels, table.lines, strict=True)
    ]
    found = {"text": text, "label": label or reading.get("label"), "delimiter": table.delimiter, "header": table.header}
    notes = [f"texts: column {text}", f"labels: column {label}" if label else "labels: none"]
    notes += table.passed_over()
    notes += [] if kept else [table.note, *left_out([name for name in table.columns if name not in (text, label)])]
    return Examples(str(path), items, reading=found, notes=notes)


def _known(table: RawTable, name: str) -> str:
    if name not in table.columns:
        raise DataError(
            f"{table.source} has no column {name!r}{nearest(name, table.columns)}, which the run reads; it has "
            f"{table.has()}"
        )
    return name
