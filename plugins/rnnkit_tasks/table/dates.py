"""Dates and times of day in the cells of a table, as seconds; whichever usual form they are written in."""

import re
from collections.abc import Container, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.evenness import DAY, disorder

Seconds = NDArray[np.float64]

ENOUGH = 0.9
"""Of the cells that are not empty, the share that must be dates."""

SAMPLE = 100

MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
GAP = r"[-/. ,]\s*"
NAMED = rf"(?P<month>(?:{MONTHS})[a-z]*)\.?"
WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d+)?))?\s*(?P<half>[ap]\.?m\.?(?![a-z]+/))?"
    r"\s*(?P<zone>z|utc|gmt|[a-z]{3,4}|[a-z]+(?:/[a-z_]+)+|(?:utc|gmt)?[+-]\d{1,2}(?::?\d{2})?)?(?:\s*\[.*\])?"
)
DATES = {
    "": [
        rf"(?P<year>\d{{4}}){GAP}(?P<month>\d{{1,2}}){GAP}(?P<day>\d{{1,2}})",
        rf"(?P<day>\d{{1,2}})(?:{GAP})?{NAMED}(?:{GAP})?(?P<year>\d{{4}}|\d{{2}})",
        rf"{NAMED}\s*(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})",
        rf"{NAMED}(?:{GAP})?(?P<year>\d{{4}}|\d{{2}})",
        rf"(?P<year>\d{{4}})(?:{GAP})?{NAMED}(?:(?:{GAP})?(?P<day>\d{{1,2}}))?",
        r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
        r"(?P<year>\d{4})[-/.m](?P<month>\d{1,2})",
        r"(?P<month>\d{1,2})[-/.](?P<year>\d{4})",
        r"(?P<year>\d{4})[- ]?q(?P<quarter>[1-4])",
        r"q(?P<quarter>[1-4])[-/ ]?(?P<year>\d{4})",
        r"(?P<year>\d{4})-?w(?P<week>\d{2})(?:-?(?P<weekday>[1-7]))?",
    ],
    "day first": [rf"(?P<day>\d{{1,2}}){GAP}(?P<month>\d{{1,2}}){GAP}(?P<year>\d{{4}}|\d{{2}})"],
    "month first": [rf"(?P<month>\d{{1,2}}){GAP}(?P<day>\d{{1,2}}){GAP}(?P<year>\d{{4}}|\d{{2}})"],
}
SWAPPED = ("day first", "month first")
"""Readings of dates whose days and months could change places."""

FORMS = [
    (note, re.compile(rf"{WEEKDAY}{date}(?:[t,]?\s*{CLOCK})?", re.IGNORECASE))
    for note, dates in DATES.items()
    for date in dates
]
FORMS.append(
    (
        "",
        re.compile(
            r"(?P<year>\d{4})-?(?P<month>\d{2})-?(?P<day>\d{2})t?(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?z?",
            re.IGNORECASE,
        ),
    )
)
EXACT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?", re.ASCII)
TIME_OF_DAY = re.compile(CLOCK, re.IGNORECASE)


class Times(NamedTuple):
    """What a column of dates says."""

    seconds: Seconds
    """(N,) since 1970, or since midnight; NaN where a cell holds no date."""
    note: str
    """On how they were read: "day first", "month first", "several forms"; else empty."""
    of_day: bool = False
    """Whether they are times of day, without a date."""
    other: str = ""
    """Which of "day first" and "month first" they could as well be, not being it."""


def dates(cells: Sequence[str], reading: str = "", asked: bool = False) -> Times | None:
    """Read a column of dates (N,); None if fewer than nine in ten of its cells that are not empty are dates.

    Where days and months could change places, `reading` says which comes first ("day first", "month first"); without
    it, that reading is taken by which the rows go forth, and least jump about. If it is `asked` for, there is no other.
    """
    plain = exact(cells)  # mostly, and soonest to tell
    stripped = [cell.strip() for cell in cells] if plain is None else []
    plain = exact(stripped) if plain is None else plain
    if plain is not None:
        return Times(plain, "")
    filled = [cell for cell in stripped if not is_missing(cell)]
    if not filled or not any(map(str.isdigit, filled[0])):
        return None
    readings = []
    for note, form in [*FORMS, ("", TIME_OF_DAY)]:
        if asked and note not in ("", reading):
            continue
        if form.fullmatch(filled[0]) or form.fullmatch(filled[-1]):
            seconds = _read(form, stripped)
            if np.isfinite(seconds).sum() >= ENOUGH * len(filled):
                readings.append(Times(seconds, note, form is TIME_OF_DAY))
    if readings:
        return _likeliest(readings, reading)
    few = filled[:: len(filled) // SAMPLE + 1]  # it takes long, and most columns of words have no date at all
    barred = {*SWAPPED} - {reading} if asked else set[str]()
    return _mixed(stripped, len(filled), barred) if _mixed(few, len(few), barred) else None


def _likeliest(readings: Sequence[Times], reading: str) -> Times:
    """Return the reading by which most cells are dates, and which is known, or the more even; and if another fits."""
    unread = [int(np.isnan(times.seconds).sum()) for times in readings]
    able = [times for times, count in zip(readings, unread, strict=True) if count == min(unread)]
    if len(able) == 1:
        return able[0]
    best = min(able, key=lambda times: (bool(reading) and times.note != reading, disorder(times.seconds)))
    if best.note not in SWAPPED:
        return best
    others = [times.note for times in able if times.note in SWAPPED and times.note != best.note]
    return best._replace(other=others[0] if others else "")


def exact(cells: Sequence[str]) -> Seconds | None:
    """Read cells that are all of the form 2020-01-31 or 2020-01-31 13:45:10.5; None if one is not."""
    if not cells or not all(map(EXACT.fullmatch, cells)):  # numpy warns of more than that, instead of raising
        return None
    try:
        return np.array(cells, dtype="datetime64[us]").astype(np.int64) / 1e6
    except ValueError:
        return None


def _mixed(cells: Sequence[str], filled: int, barred: Container[str]) -> Times | None:
    """Read a column that has its dates in several forms, each cell by the first that fits and is not barred."""
    seconds = np.full(len(cells), np.nan)
    for form in (form for note, form in FORMS if note not in barred):
        rest = np.flatnonzero(np.isnan(seconds))
        seconds[rest] = _read(form, [cells[at] for at in rest.tolist()])
    return Times(seconds, "several forms") if np.isfinite(seconds).sum() >= ENOUGH * filled else None


def _read(form: re.Pattern[str], cells: Sequence[str]) -> Seconds:
    """Read cells of one form; NaN for those of another, and for days that no month has."""
    matches = [form.fullmatch(cell) for cell in cells]
    seconds = np.full(len(cells), np.nan)
    rows = np.array([at for at, match in enumerate(matches) if match], dtype=np.int64)
    if not len(rows):
        return seconds
    names = form.groupindex
    given = {name: [match[name] for match in matches if match] for name in names}
    days = _days(given, len(rows)) if "year" in names else np.zeros(len(rows))
    seconds[rows] = DAY * days + _of_day(given, len(rows))
    return seconds


def _days(given: dict[str, list[str]], rows: int) -> Seconds:
    """Return days since 1970; NaN for a day that is not."""
    years = _whole(given["year"], rows)
    short = np.array([len(year) == 2 for year in given["year"]])
    years[short] += np.where(years[short] < 69, 2000, 1900)
    if "week" in given:
        fourth = _day_number(years, np.ones(rows), np.full(rows, 4.0))  # of January: always in week 1
        monday: Seconds = fourth - (fourth + 3) % 7
        return monday + 7 * (_whole(given["week"], rows) - 1) + _whole(given.get("weekday"), rows, 1) - 1
    if "quarter" in given:
        return _day_number(years, 3 * _whole(given["quarter"], rows) - 2, np.ones(rows))
    named = given["month"][0][:1].isalpha()
    months = (
        np.array([float(MONTHS.index(name[:3].lower()) // 4 + 1) for name in given["month"]])
        if named
        else _whole(given["month"], rows)
    )
    return _day_number(years, months, _whole(given.get("day"), rows, 1))


def _day_number(years: Seconds, months: Seconds, days: Seconds) -> Seconds:
    begins = ((years - 1970) * 12 + months - 1).astype(np.int64).astype("datetime64[M]")
    length = ((begins + 1).astype("datetime64[D]") - begins.astype("datetime64[D]")).astype(np.float64)
    sound = (months >= 1) & (months <= 12) & (days >= 1) & (days <= length)
    return np.where(sound, begins.astype("datetime64[D]").astype(np.float64) + days - 1, np.nan)


def _of_day(given: dict[str, list[str]], rows: int) -> Seconds:
    """Return seconds since midnight, UTC where a zone is told in hours; NaN for an hour that no day has."""
    hours, minutes, seconds = (_whole(given.get(name), rows) for name in ("hour", "minute", "second"))
    halves = [(half or "")[:1].lower() for half in given.get("half", [None] * rows)]
    twelve = np.array([bool(half) for half in halves])
    hours = np.where(twelve, hours % 12 + 12 * np.array([half == "p" for half in halves]), hours)
    total = 3600 * (hours - offsets(given.get("zone", [None] * rows))) + 60 * minutes + seconds
    return np.where((hours <= 24) & (minutes < 60) & (seconds <= 60), total, np.nan)


def offsets(zones: Sequence[str | None]) -> Seconds:
    """Return the hours that zones such as +02:00 are ahead; names other than UTC are passed over."""
    known: dict[str | None, float] = {}
    for zone in set(zones):
        offset = re.search(r"([+-])(\d{1,2}):?(\d{2})?$", zone or "")
        known[zone] = (-1 if offset[1] == "-" else 1) * (int(offset[2]) + int(offset[3] or 0) / 60) if offset else 0.0
    return np.array([known[zone] for zone in zones])


def _whole(texts: Sequence[str | None] | None, rows: int, missing: float = 0.0) -> Seconds:
    if texts is None:
        return np.full(rows, missing)
    return np.array([float(text.replace(",", ".")) if text else missing for text in texts])
