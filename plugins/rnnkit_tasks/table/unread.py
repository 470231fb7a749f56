"""Dates that are none of the forms that are read, told by their looks alone."""

import re
from collections.abc import Sequence

from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.other_numbers import bared

YEAR = r"(?:1[5-9]|2[01])\d\d"
GAP = r"(?:\W{1,3}|\s?[年月日년월일]\s?)"
NTH = r"(?:\.|st|nd|rd|th|er|º|ª)?"
WORD = r"[^\W\d_]{3,12}\.?"
MONTHS = (
    "jan|gen|ene|янв|feb|f[ée]v|фев|m[aä]r|mrt|мар|apr|avr|abr|апр|ma[iyjgï]|mei|май|мая|jun|jui|giu|июн|jul|lug|июл|"
    "aug|ao[uû]|ago|авг|sep|set|сен|o[ck]t|out|ott|окт|nov|ноя|de[czs]|déc|dic|дек"
)
LOOKS = re.compile(
    rf"(?:{WORD},?\s+)?(?:"  # a day of the week
    rf"{YEAR}{GAP}\d{{1,2}}(?:{GAP}\d{{1,2}})?(?:\D.*)?"
    rf"|\d{{1,2}}{GAP}\d{{1,2}}{GAP}{YEAR}(?:\D.*)?"
    r"|\d{1,2}([-/])\d{1,2}\1\d{2}(?:\D.*)?"
    rf"|\d{{1,2}}{NTH}[-/ ]+(?:de |of )?{WORD}[-/, ]+(?:de |of )?{YEAR}(?:\D.*)?"
    rf"|\d{{1,2}}{NTH}[-/ ]*(?:{MONTHS})[^\W\d_]*\.?[-/, ]*(?:{YEAR}|\d\d)(?:\D.*)?"
    rf"|{WORD}[-/ ]*\d{{1,2}}(?:st|nd|rd|th)?[-/, ]+{YEAR}(?:\D.*)?"
    rf"|(?:{MONTHS})[^\W\d_]*\.?[-/, ]*(?:de )?{YEAR}"
    rf"|{YEAR}[-/, ]*(?:{MONTHS})[^\W\d_]*\.?(?:\D.*)?"
    r"|\d{1,2}\s*月\s*\d{1,2}\s*日.*|\d{4}\s*年.*"
    r")",
    re.IGNORECASE,
)
"""Numbers that may be year, month and day with little between them, or a word for the month."""


def unread(cells: Sequence[str]) -> str | None:
    """Return the first cell that looks like a date, if most that are not empty do; else None."""
    filled = [bared(cell) for cell in cells if not is_missing(cell)]
    few = filled[:: len(filled) // 200 + 1]
    alike = [cell for cell in few if len(cell) < 60 and LOOKS.fullmatch(cell)]
    return alike[0] if 2 * len(alike) > len(few) else None
