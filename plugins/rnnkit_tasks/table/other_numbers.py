"""Cells that hold a number in a notation of other fields: 0x1f, 1/8, 20.5D+01, 30°30'N, '20.5' in quotes."""

import re

HEX = re.compile(r"([+-]?)0x([0-9a-f]+)", re.IGNORECASE)
FRACTION = re.compile(r"([+-]?)(?:(\d{1,9})\s+)?(\d{1,9})\s*/\s*(\d{1,9})")
FORTRAN = re.compile(r"([+-]?(?:\d+\.\d*|\.\d+|\d+(?=[dD][+-])))[dD]([+-]?\d{1,3})")
ANGLE = re.compile(
    r"([+-]?)(\d{1,3})\s*[°º]\s*(\d{1,2}(?:\.\d+)?)\s*['′’](?:\s*(\d{1,2}(?:\.\d+)?)\s*(?:\"|″|''|′′|”))?\s*([NSEWO]?)",
    re.IGNORECASE,
)
QUOTES = {"'": "'", "‘": "’", '"': '"', "“": "”", "«": "»", "`": "`"}
COMMENT = re.compile(r"\s+(?:#|//).*")


def bared(cell: str) -> str:
    """Return a cell without the quotes around it, or the comment behind it."""
    text = COMMENT.sub("", cell.strip())
    return text[1:-1].strip() if len(text) > 2 and QUOTES.get(text[0]) == text[-1] else text


def other_number(cell: str) -> str | None:
    """Return how a number in another notation is written with digits and a point; None if it is none."""
    if match := HEX.fullmatch(cell):
        return f"{match[1].replace('+', '')}{int(match[2], 16)}"
    if match := FORTRAN.fullmatch(cell):
        return f"{match[1]}E{match[2]}"
    if match := FRACTION.fullmatch(cell):
        sign, whole, upper, lower = match.groups()
        return _signed(sign == "-", int(whole or 0) + int(upper) / int(lower)) if int(lower) else None
    if match := ANGLE.fullmatch(cell):
        sign, degrees, minutes, seconds, side = match.groups()
        value = int(degrees) + float(minutes) / 60 + float(seconds or 0) / 3600
        return _signed((sign == "-") ^ (side.upper() in ("S", "W", "O")), value)
    return None


def _signed(negative: bool, value: float) -> str:
    return f"{'-' if negative and value else ''}{value:.9g}"
