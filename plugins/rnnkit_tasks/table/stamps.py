"""Columns of numbers that tell the time, or count the rows, by their names and values."""

import re

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.table.evenness import DAY

Numbers = NDArray[np.float64]

YEAR = re.compile(r"(?:.*[\W_])?(?:year|yr|yyyy|jahr|ann[eé]e|a[nñ]o|anno)(?:[\W_].*)?", re.IGNORECASE)
TIMELY = re.compile(
    r"(?:.*[\W_])?(?:(?:unix|epoch|open|close)?[\W_]*(?:date|time|timestamp|datetime|stamp|epoch|unix|ts|dt|day|ymd|yyyymmdd|"
    r"datum|zeit|zeitpunkt|zeitstempel|fecha|hora|heure|horodatage|tijd|дата|время|日期|时间|時間|日付|日時)"
    r"(?:s|ms|utc|gmt|local)?)(?:[\W_].*)?|t",
    re.IGNORECASE,
)
ANY_ID = re.compile(r"(?:.*[\W_])?(?:id|uuid|guid)|.*[a-z]I[Dd]", re.IGNORECASE)
RISING_ID = re.compile(
    r"(?:index|idx|rows?[\W_]*(?:no|nr|num|number)?|no\.?|nr\.?|num|number|#|unnamed: ?\d+|record|seq|sequence|obs|"
    r"observation|case|instant|entry)",
    re.IGNORECASE,
)
PLACE = re.compile(r"(?:column )?\d+")
"""What a column without a name is called."""

CALENDAR = {
    re.compile(rf"(?:.*[\W_])?(?:{names})", re.IGNORECASE): last
    for names, last in {
        "month|mnth|mo": 12,
        "day|day[\\W_]*of[\\W_]*month|dy|dd": 31,
        "hour|hr|hh": 24,
        "minute|second": 60,
        "week[\\W_]*day|day[\\W_]*of[\\W_]*week|dow": 7,
        "week|weekofyear": 53,
        "quarter|season": 4,
        "day[\\W_]*of[\\W_]*year|doy|yday": 366,
    }.items()
}
EPOCHS = {1.0: (1e8, 1e10), 1e3: (1e11, 1e13), 1e6: (1e14, 1e16), 1e9: (1e17, 1e19)}
"""Since 1970: how many of the unit make a second, and what numbers then lie between 1973 and 2286."""


DAYS = {25569.0: (20000, 80000), 719529.0: (7e5, 8e5), 2440587.5: (2.4e6, 2.5e6)}
"""Of spreadsheets, of Matlab, of astronomers: what day 1970 begins on, and what numbers are then usual."""

LIKELY = (631152000.0, 2208988800.0)
"""1990 to 2040, in seconds since 1970."""


def stamped(name: str, numbers: Numbers, known: bool = False) -> Numbers | None:
    """Return seconds since 1970 of a column whose numbers are moments in time; None of any other.

    They are 20200131, 202001, years with a fraction, days as a spreadsheet counts them, or seconds, milliseconds, ...
    since 1970; told by the name, or, for 20200131 and longer ones, by all being moments that are and never going both
    ways. `known`: whether the column is known to tell the time, so that neither is asked.
    """
    if not len(numbers):
        return None
    timely = known or bool(TIMELY.fullmatch(name))
    if _whole(numbers):
        digits = len(f"{numbers[0]:.0f}")
        if digits in (8, 6, 12, 14) and (timely or (digits in (8, 12, 14) and one_way(numbers))):
            moments = _compact(numbers, digits)
            if moments is not None:
                return moments
    elif (
        (timely or YEAR.fullmatch(name))
        and numbers.min() > 1000
        and numbers.max() < 2500
        and (known or one_way(numbers))
    ):
        return (numbers - 1970) * 365.2425 * DAY
    if timely:
        for unit, (least, most) in EPOCHS.items():
            if least <= numbers.min() and numbers.max() < most:
                return numbers / unit
        for first, (least, most) in DAYS.items():
            if least <= numbers.min() and numbers.max() < most and (known or one_way(numbers)):
                return (numbers - first) * DAY
    return None


def tells_time(name: str, numbers: Numbers) -> bool:
    """Tell whether a column is likely to tell the time, though it may not be known how: by its name, or its size."""
    if TIMELY.fullmatch(name) or YEAR.fullmatch(name):
        return True
    return any(LIKELY[0] * unit <= numbers.min() and numbers.max() < LIKELY[1] * unit for unit in EPOCHS)


def numbers_rows(name: str) -> bool:
    """Tell whether a column is called as what numbers rows is."""
    return bool(ANY_ID.fullmatch(name) or RISING_ID.fullmatch(name))


def is_year(name: str, numbers: Numbers) -> bool:
    """Tell whether a column has years: whole numbers between 1000 and 3000 under such a name."""
    return bool(YEAR.fullmatch(name)) and _whole(numbers) and numbers.min() >= 1000 and numbers.max() <= 3000


def counter(name: str, numbers: Numbers) -> str:
    """Say what a column counts that nobody would forecast: rows, years, ids, parts of a date; "" of any other."""
    if len(numbers) < 3:
        return ""
    if is_year(name, numbers):
        return "a counter"
    whole = _whole(numbers)
    for names, last in CALENDAR.items():
        if whole and names.fullmatch(name) and numbers.min() >= 0 and numbers.max() <= last:
            return "a part of the date"
    steps = np.diff(numbers)
    if TIMELY.fullmatch(name) and one_way(numbers):
        return "a counter"
    step = np.median(steps)
    even = np.abs(steps - step) <= 1e-6 * abs(step) + 8 * np.spacing(np.abs(numbers).max())
    if step and (even.all() or (whole and one_way(numbers) and abs(step) == 1 and even.mean() >= 0.9)):
        return "a counter"
    if whole and (ANY_ID.fullmatch(name) or (RISING_ID.fullmatch(name) and bool((steps > 0).all()))):
        return "an id"
    if whole and (RISING_ID.fullmatch(name) or PLACE.fullmatch(name)) and (np.diff(np.sort(numbers)) == 1).all():
        return "an id"
    return ""


def _compact(numbers: Numbers, digits: int) -> Numbers | None:
    """Read 202001, 20200131, 202001311345 or 20200131134510; None if one is no moment of 1500 to 2500."""
    years = numbers.astype(np.int64)
    fields: list[NDArray[np.int64]] = []
    for _ in range((digits - 4) // 2):
        years, field = np.divmod(years, 100)
        fields.insert(0, field)
    fields += [np.full(len(numbers), first) for first in (1, 1, 0, 0, 0)[len(fields) :]]
    month, day, hour, minute, second = fields
    if years.min() < 1500 or years.max() > 2500 or month.min() < 1 or month.max() > 12:
        return None
    begins = ((years - 1970) * 12 + month - 1).astype("datetime64[M]")
    length = ((begins + 1).astype("datetime64[D]") - begins.astype("datetime64[D]")).astype(np.int64)
    if day.min() < 1 or bool((day > length).any()) or hour.max() > 24 or minute.max() > 59 or second.max() > 60:
        return None
    days = begins.astype("datetime64[D]").astype(np.int64) + day - 1
    seconds: Numbers = days * DAY + 3600.0 * hour + 60.0 * minute + second
    return seconds


def _whole(numbers: Numbers) -> bool:
    return bool((numbers == np.floor(numbers)).all())


def one_way(numbers: Numbers) -> bool:
    """Tell whether rows never go back, or never forth, and move at all."""
    steps = np.diff(numbers)
    return bool(((steps >= 0).all() or (steps <= 0).all()) and steps.any())
