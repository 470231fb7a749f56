"""Sequences with one label each, from whichever kind of file or folder they are in."""

from pathlib import Path
from typing import Any

from rnnkit_tasks.labelled.example import NO_LABEL, Example, Examples
from rnnkit_tasks.labelled.folder import read_folder, read_numbers, read_text
from rnnkit_tasks.labelled.json_lines import read_json_lines
from rnnkit_tasks.labelled.text_table import read_text_table
from rnnkit_tasks.text.text_file import TextFile

JSON = (".jsonl", ".ndjson", ".json")


def read_examples(path: Path, reading: dict[str, Any], *, kept: bool = False, numeric: bool | None = None) -> Examples:
    """Read a folder, a table of texts, or JSON lines.

    Args:
        path: of it.
        reading: what is known of how to read it; see the reader of each kind.
        kept: whether it is for a finished run, so that labels may lack, and a file may be one sequence.
        numeric: of a finished run, whether its steps hold numbers.

    Raises:
        DataError: it is unfit. UsageError: it lacks a column that was asked for.
    """
    if path.is_dir():
        return read_folder(path, reading, kept)
    if path.suffix.lower() in JSON or _begins_with_brace(path):
        return read_json_lines(path, reading, kept)
    if kept and numeric:
        names, numbers = read_numbers(path, reading)
        return Examples(str(path), [Example(numbers, [NO_LABEL], str(path))], names)
    if kept and path.suffix.lower() == ".txt":
        return Examples(str(path), [Example(read_text(path), [NO_LABEL], str(path))])
    return read_text_table(path, reading, kept)


def _begins_with_brace(path: Path) -> bool:
    lines = (line for block in TextFile(path).blocks() for line in block)
    return next((line for line in lines if not line.isspace()), "").lstrip().startswith("{")
