"""The options of tasks over tables, as a shell's user or a program gives them."""

import csv
from collections.abc import Container

from rnnkit.errors import KindError, UsageError
from rnnkit_tasks.table.order import ORDERS

HEADERS = {"auto": None, None: None, "yes": True, True: True, "no": False, False: False}


def names_of(option: str, given: object, known: Container[str], task: str = "csv") -> list[str]:
    """Read names of columns: a text with commas, a name that has one in quotes, or a list; None gives none.

    Raises:
        UsageError: it is something else, or names a column twice.
    """
    if given is None:
        return []
    if isinstance(given, str):  # a shell's user may have lost the quotes of a name on the way
        listed = [given] if given in known else next(csv.reader([given], skipinitialspace=True), [])
    else:
        listed = list(given) if isinstance(given, list | tuple) else [given]  # type: ignore[list-item]
    if not all(isinstance(name, str | int) and not isinstance(name, bool) for name in listed):
        raise KindError(f"task {task!r}: {option} is {given!r}; it must be names of columns, such as load,temperature")
    names = [str(name).strip() for name in listed]
    if not names or not all(names) or len(set(names)) < len(names):
        raise UsageError(f"task {task!r}: {option} is {given!r}; name one column or more, each once")
    return names


def delimiter_of(given: object, task: str = "csv") -> str | None:
    """Read a delimiter; a shell's user writes a tab as two characters."""
    if given is None:
        return None
    mark = "\t" if given == r"\t" else given
    if not isinstance(mark, str) or len(mark) != 1 or mark in '"\r\n':
        raise UsageError(f"task {task!r}: delimiter is {given!r}; it must be one character, such as ; or \\t for a tab")
    return mark


def header_of(given: object, task: str = "csv") -> bool | None:
    """Read whether the first line holds names; None: it is to be told by its looks."""
    if not isinstance(given, str | bool | None) or given not in HEADERS:
        raise UsageError(f"task {task!r}: header is {given!r}; it must be yes, no or auto")
    return HEADERS[given]


def order_of(given: object) -> str | None:
    """Read which row comes first; None: the oldest one must, where a column tells the time."""
    if given is not None and given not in ORDERS:
        raise UsageError(f"task 'csv': order is {given!r}; it must be {' or '.join(ORDERS)}")
    return None if given is None else str(given)
