"""A folder with a sub-folder for each label, which holds texts or tables, a sequence a file."""

from collections import Counter
from pathlib import Path
from typing import Any

from rnnkit.errors import DataError
from rnnkit_tasks.labelled.example import NO_LABEL, Example, Examples, Numbers
from rnnkit_tasks.table.table import read_table
from rnnkit_tasks.text.text_file import TextFile

TEXT, TABLES = ".txt", (".csv", ".tsv")
FORM = "one sub-folder for each label, with .txt or .csv files in it"


def read_folder(path: Path, reading: dict[str, Any], kept: bool) -> Examples:
    """Read all files of the sub-folders, whose names are the labels.

    Args:
        path: of the folder.
        reading: "delimiter" and "header" of tables; None where they are to be found.
        kept: whether it is for a finished run: then files may lie in the folder itself, without labels.

    Raises:
        DataError: there are no sub-folders, or nothing in one of them; texts and tables are mixed; a file is unfit.
    """
    folders = [entry for entry in _entries(path) if entry.is_dir()]
    loose = [] if folders else [entry for entry in _entries(path) if _is_sequence(entry)]
    if not folders and not (kept and loose):
        raise DataError(f"{path} has no sub-folders; make {FORM}")
    files: list[tuple[Path, str]] = [(file, NO_LABEL) for file in loose]
    passed: Counter[str] = Counter()
    for folder in folders:
        inside = _entries(folder)
        found = [(entry, folder.name) for entry in inside if _is_sequence(entry)]
        if not found:
            raise DataError(f"{folder} has no .txt or .csv file; put sequences with this label in, or remove it")
        files += found
        passed.update(_what(entry) for entry in inside if not _is_sequence(entry))
    if not loose:
        passed.update(_what(entry) for entry in _entries(path) if not entry.is_dir())
    texts = [file.suffix.lower() == TEXT for file, _ in files]
    if any(texts) and not all(texts):
        table, text = files[texts.index(False)][0], files[texts.index(True)][0]
        raise DataError(f"{path} has both texts and tables ({text.name}, {table.name}); keep one kind in it")
    names: list[str] = []
    items = []
    for file, label in files:
        if texts[0]:
            items.append(Example(read_text(file), [label], str(file)))
            continue
        columns, numbers = read_numbers(file, reading)
        if items and columns != names:
            raise DataError(
                f"{file} has the column(s) {', '.join(columns[:8])}; {items[0].file} has {', '.join(names[:8])}; "
                "give all files the same ones in one order"
            )
        names = columns
        items.append(Example(numbers, [label], str(file)))
    notes = [f"{'texts' if texts[0] else 'sequences'}: {len(items)} file(s) in {len(folders)} folder(s)"]
    notes += [f"passed over: {count} {what}" for what, count in sorted(passed.items())]
    return Examples(str(path), items, names, {key: reading.get(key) for key in ("delimiter", "header")}, notes)


def read_text(file: Path) -> str:
    """Return the text of a UTF-8 file, without blanks around it."""
    return "".join(TextFile(file).pieces()).strip()


def read_numbers(file: Path, reading: dict[str, Any]) -> tuple[list[str], Numbers]:
    """Return the names of a table's columns, and their numbers (T, D)."""
    table = read_table(file, reading.get("delimiter"), reading.get("header"))
    return [*table.columns], table.numbers([*table.columns], leave=False)


def _entries(folder: Path) -> list[Path]:
    """Return what lies in a folder and is not hidden, by name."""
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}; give a folder with {FORM}") from None


def _is_sequence(entry: Path) -> bool:
    return entry.suffix.lower() in (TEXT, *TABLES) and not entry.is_dir()


def _what(entry: Path) -> str:
    return "folder(s) within" if entry.is_dir() else f"{entry.suffix or 'nameless'} file(s)"
