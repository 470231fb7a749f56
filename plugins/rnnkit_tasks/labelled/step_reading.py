"""Sequences with a label for each step, from a table or from tokens in columns."""

from pathlib import Path
from typing import Any

from rnnkit.errors import DataError
from rnnkit_tasks.labelled.conll import CONLL, looks_like_conll, read_conll
from rnnkit_tasks.labelled.example import Examples
from rnnkit_tasks.labelled.step_table import TABLE, read_step_table

TABLES = (".csv", ".tsv")
OBJECTS = (".json", ".jsonl", ".ndjson")


def read_steps(path: Path, reading: dict[str, Any], *, kept: bool = False) -> Examples:
    """Read a file: a table if its name ends in .csv, or in .tsv without blank lines; else tokens in columns.

    Args:
        path: of a UTF-8 text file.
        reading: what is known of how to read it: its "format", and what the reader of a table takes.
        kept: whether it is for a finished run, so that labels may lack.

    Raises:
        DataError: it is unfit. UsageError: it lacks a column that was asked for.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; give one file, with a label for each step")
    form = reading.get("format")
    if form is None:
        ending = path.suffix.lower()
        form = TABLE if ending in TABLES and not (ending == ".tsv" and looks_like_conll(path)) else CONLL
    if form == CONLL and path.suffix.lower() == ".csv":
        raise DataError(f"{path} is a table, and the run learnt from tokens in columns; give such a file")
    if form == CONLL and path.suffix.lower() in OBJECTS:
        raise DataError(f"{path} is JSON; give tokens in columns (CoNLL), or a table that ends in .csv or .tsv")
    return read_conll(path, kept) if form == CONLL else read_step_table(path, reading, kept)
