"""Times as a table writes them: a form is taken from its own cells, and held to them before it writes others."""

import calendar
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.table.dates import FORMS, MONTHS, TIME_OF_DAY, offsets
from rnnkit_tasks.table.evenness import DAY
from rnnkit_tasks.table.stamps import DAYS, EPOCHS

Writer = Callable[[float], str]
"""Seconds since 1970 -> the cell."""

TRIED = 5
"""Last rows of the table that a form must write as they stand."""

LOOKED_AT = 500
"""Cells by which it is told whether 7 is written 07, and March Mar."""

OFFSET = re.compile(
    r"\d\s*(?:Z|UTC|GMT|(?:UTC|GMT)?[+-]\d\d:?\d\d)$|:\d\d(?:[.,]\d+)?\s*(?:UTC|GMT)?[+-]\d\d?$", re.IGNORECASE
)
"""That a time ends in an offset from UTC."""

EPOCH = datetime(1970, 1, 1)
WEEKDAYS = [name.lower() for name in calendar.day_name]
PADDED = ("month", "day", "hour")
"""Parts that some write as 07, some as 7; where none of a part tells, it goes by the others."""


def writer_of(cells: Sequence[str], seconds: NDArray[np.float64], reading: str = "") -> Writer | None:
    """Return what writes times as the cells of a column (N,) do; None: the form is not known.

    Args:
        cells: of a column that tells the time, alone or with others.
        seconds: (N,) the times of the rows, since 1970.
        reading: "day first" or "month first", where few cells could not tell.
    """
    rows = range(max(0, len(cells) - TRIED), len(cells))
    if not np.isfinite(seconds[rows.start :]).all():
        return None
    few = [cell.strip() for cell in cells[-LOOKED_AT:]]
    for of in (*_dated(few, reading), *map(_whatever, _numeric(few[-1]))):
        try:
            if all(of(cells[row].strip())(float(seconds[row])) == cells[row].strip() for row in rows):
                return of(few[-1])
        except (ValueError, OverflowError, IndexError):
            continue
    return None


def iso(seconds: float, like: str = "") -> str:
    """Write a time as 2024-01-31 13:45:10, or 2024-01-31 at midnight; with +00:00 where a cell has an offset, too."""
    text = str(_moment(seconds))
    if OFFSET.search(like.strip()):
        return f"{text}+00:00"
    return text.removesuffix(" 00:00:00")


def _moment(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=round(seconds, 6))


def _dated(cells: Sequence[str], reading: str) -> list[Callable[[str], Writer]]:
    """Return what may write dates, or times of day, as such cells do: from a cell, for its offset, to a writer."""
    forms = [form for note, form in FORMS if not (reading and note) or note == reading]
    return [_of_offset(form, cells) for form in [*forms, TIME_OF_DAY] if form.fullmatch(cells[-1])]


def _of_offset(form: re.Pattern[str], cells: Sequence[str]) -> Callable[[str], Writer]:
    """Return what gives writers by a form; cells before a change of the clocks have another offset than the last."""
    matches = [match for cell in cells if (match := form.fullmatch(cell))]

    def of(cell: str) -> Writer:
        match = form.fullmatch(cell)
        if match is None or _offset_of(match) == _offset_of(matches[-1]):
            return _by_form(matches)
        return _by_form([*matches, match])

    return of


def _offset_of(match: re.Match[str]) -> str | None:
    return match.groupdict().get("zone")


def _whatever(write: Writer) -> Callable[[str], Writer]:
    """Return what gives a writer that is the same for all cells."""
    return lambda cell: write


def _by_form(matches: Sequence[re.Match[str]]) -> Writer:
    """Return what puts another time into the last match."""
    last = matches[-1]
    groups = sorted((last.start(name), last.end(name), name) for name, text in last.groupdict().items() if text)
    padded = {name: _is_padded(name, matches) for name in PADDED}
    long = any(len(match.groupdict().get("month") or "") > 3 for match in matches)
    ahead = 3600 * float(offsets([last.groupdict().get("zone")])[0])

    def write(seconds: float) -> str:
        moment, text, at = _moment(seconds + ahead), "", 0
        for start, end, name in groups:
            text += _between(last.string[at:start], moment) + _part(name, last[name], moment, last, padded, long)
            at = end
        return text + last.string[at:]

    return write


def _is_padded(name: str, matches: Sequence[re.Match[str]]) -> bool:
    """Tell whether a part of a date is written with two digits."""
    given = [match.groupdict() for match in matches]
    for names in ((name,), PADDED):
        texts = [text for groups in given for part in names if (text := groups.get(part))]
        if any(text[0] == "0" for text in texts):
            return True
        if any(len(text) == 1 for text in texts):
            return False
    return True


def _between(text: str, moment: datetime) -> str:
    """Return what stands before a part of a date, with the day of the week that it then is."""
    word = re.match(r"[A-Za-z]+", text)
    if word is None or word[0].lower()[:3] not in [name[:3] for name in WEEKDAYS]:
        return text
    name = WEEKDAYS[moment.weekday()]
    return _in_case(name if len(word[0]) > 3 else name[:3], word[0]) + text[word.end() :]


def _part(name: str, given: str, moment: datetime, last: re.Match[str], padded: dict[str, bool], long: bool) -> str:
    """Write a part of a date as it was given in the last one."""
    if name == "year":
        year = moment.isocalendar().year if last.groupdict().get("week") else moment.year
        return f"{year:04d}" if len(given) == 4 else f"{year % 100:02d}"
    if name == "month" and given.isalpha():
        name_of_month = calendar.month_name[moment.month]
        return _in_case(name_of_month if long else MONTHS.split("|")[moment.month - 1], given)
    if name == "second" and len(given) > 2:
        decimals = len(given) - 3
        whole = f"{moment.second + moment.microsecond / 1e6:0{decimals + 3}.{decimals}f}"
        return whole.replace(".", given[2])
    if name == "half":
        return _in_case("p" if moment.hour >= 12 else "a", given[0]) + given[1:]
    if name == "zone":
        return given
    number = {
        "month": moment.month,
        "day": moment.day,
        "hour": (moment.hour - 1) % 12 + 1 if last.groupdict().get("half") else moment.hour,
        "minute": moment.minute,
        "second": moment.second,
        "quarter": (moment.month + 2) // 3,
        "week": moment.isocalendar().week,
        "weekday": moment.isoweekday(),
    }[name]
    two = name not in ("quarter", "weekday") and padded.get(name, True)
    return f"{number:02d}" if two else f"{number}"


def _in_case(word: str, like: str) -> str:
    return word.upper() if like.isupper() else word.title() if like[0].isupper() else word


def _numeric(cell: str) -> list[Writer]:
    """Return what may write times as a number: digits of a date, seconds since 1970, days of a spreadsheet, ..."""
    decimals = len(cell.partition(".")[2])
    writers: list[Writer] = [_digits(form) for form in ("%Y%m%d", "%Y%m", "%Y%m%d%H%M", "%Y%m%d%H%M%S")]
    writers += [_scaled(unit, 0.0, decimals) for unit in EPOCHS]
    writers += [_scaled(1 / DAY, first, decimals) for first in DAYS]
    writers.append(_scaled(1 / (365.2425 * DAY), 1970.0, decimals))
    parts: list[Callable[[datetime], Any]] = [
        lambda moment: moment.year,
        lambda moment: moment.month,
        lambda moment: moment.day,
        lambda moment: moment.hour,
    ]
    return [*writers, *(_whole(part) for part in parts)]


def _digits(form: str) -> Writer:
    return lambda seconds: _moment(seconds).strftime(form)


def _scaled(unit: float, first: float, decimals: int) -> Writer:
    return lambda seconds: f"{seconds * unit + first:.{decimals}f}"


def _whole(part: Callable[[datetime], Any]) -> Writer:
    return lambda seconds: f"{part(_moment(seconds))}"
