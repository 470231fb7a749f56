"""The options of tasks over tables, as a shell's user or a program gives them."""

import csv
from collections.abc import Container, Sequence
from typing import Any

from rnnkit.errors import KindError, UsageError
from rnnkit_tasks.forecast.calendar import PARTS
from rnnkit_tasks.table.order import ORDERS
from rnnkit_tasks.table.source import READINGS

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


def dates_of(given: object) -> str | None:
    """Read what comes first in dates whose days and months could change places; None: it is told by their steps."""
    if given is not None and given not in READINGS:
        raise UsageError(f"task 'csv': dates is {given!r}; it must be {' or '.join(READINGS)}")
    return None if given is None else str(given)


def one_of(option: str, given: object, known: Sequence[str]) -> str:
    """Read one word of several.

    Raises:
        UsageError: it is another.
    """
    if not isinstance(given, str) or given not in known:
        raise UsageError(f"task 'csv': {option} is {given!r}; it must be {', '.join(known[:-1])} or {known[-1]}")
    return given


def quantiles_of(given: object) -> tuple[float, ...]:
    """Read shares of the truth below: 0.05,0.5,0.95, as a text or a list; None gives none.

    Raises:
        UsageError: one is no share above 0 and below 1, they do not rise, or 0.5, the forecast, is not among them.
    """
    if given is None:
        return ()
    listed: list[Any] = list(given) if isinstance(given, list | tuple) else [given]
    listed = given.split(",") if isinstance(given, str) else listed
    try:
        shares = tuple(float(share) for share in listed)
    except (TypeError, ValueError):
        shares = ()
    if not shares or not all(0 < share < 1 for share in shares) or list(shares) != sorted(set(shares)):
        raise UsageError(f"task 'csv': quantiles is {given!r}; it must be rising shares, such as 0.05,0.5,0.95")
    if 0.5 not in shares:
        raise UsageError(f"task 'csv': quantiles is {given!r}; 0.5 must be among them, which is the forecast")
    return shares


def calendar_of(given: object) -> tuple[str, ...] | None:
    """Read which parts of the date are inputs: auto (None), none (an empty tuple), or names of parts.

    Raises:
        UsageError: it is something else.
    """
    if given is None or given == "auto":
        return None
    if given is False or given in ("none", "no"):
        return ()
    return tuple(one_of("calendar", word, [*PARTS, "none", "auto"]) for word in names_of("calendar", given, ()))


def text_of(option: str, given: object) -> str | None:
    """Read the name of a column, or None."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | int) or not str(given).strip():
        raise KindError(f"task 'csv': {option} is {given!r}; it must be the name of a column")
    return str(given).strip()


def decimal_of(given: object) -> str | None:
    """Read what decimals begin with; None: it is to be told by the cells.

    Raises:
        UsageError: it is something else.
    """
    if given not in (None, ",", "."):
        raise UsageError(f"task 'csv': decimal is {given!r}; it must be , or . as decimals begin with")
    return None if given is None else str(given)
