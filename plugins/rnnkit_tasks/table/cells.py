"""The cells of a table: numbers, what looks like one and is written otherwise, what stands for none, and words."""

import math
import re
import unicodedata
from decimal import Decimal

from rnnkit_tasks.table.other_numbers import bared, other_number

MISSING = frozenset(
    ["", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "—", "–", ".", "..", "?", "missing"]
)
"""What stands for a number that is not there, in lower case."""

YES = frozenset(["yes", "y", "true", "t", "on", "ja", "oui"])
NO = frozenset(["no", "n", "false", "f", "off", "nein", "non"])
ANSWERS = YES | NO

SYMBOLS = "$€£¥¢₹₽₩₺₴₪₫₦₱฿₡₲₵₸₿₭₮₼₾₠₣₤₧₨"
CODES = (
    "AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KRW|MXN|MYR|NOK|NZD|PHP|PLN|RON|RUB|SEK|SGD|THB|TRY|"
    "USD|ZAR|Fr|Kč|kr|Rp|Rs|zł"
)
CURRENCY = re.compile(rf"(?:US|NZ|HK|CA|AU|R|A|C|S)?[{SYMBOLS}]|(?<![^\W\d_])(?:{CODES})\.?(?![^\W\d_])")

SIGNS = {**dict.fromkeys(map(ord, "\u2212\u2010\u2011\u2012\u2013\ufe63"), "-"), 0x200B: "", 0x2060: "", 0x2044: "/"}

DIGITS = r"\d{1,3}(?:[ '’.,_]\d{3})+(?:[.,]\d+)?|\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?|\d+(?:[.,]\d*)?|[.,]\d+"
FIGURE = re.compile(rf"(?P<digits>{DIGITS})(?P<power>[eE][+-]?\d+)?(?![\d])")
BEFORE = re.compile(r"[-+(<>=≤≥~≈± ]*")
AFTER = re.compile(r"[-+)*†‡ ]*")
LONGEST_UNIT = 12
UNIT = re.compile(r"(?:[^\W\d_]|[%‰°′″])(?:[^\W\d_]|[%‰°′″/·*^ -]|(?<=[^\W\d_])[23]|(?<=\^)-?[1-4])*")
"""What may follow a number: %, °C, km/h, kWh, W/m^2."""

MULTIPLES = {**dict.fromkeys("kK", 3), **dict.fromkeys(["M", "mn", "Mn", "mio", "Mio"], 6)}
MULTIPLES |= {**dict.fromkeys(["B", "bn", "Bn", "Mrd"], 9), "T": 12}
"""Powers of ten that some write in place of the zeros, and others take for units: 20.8k, 3.4M."""


def number(cell: str) -> float:
    """Return the number that a cell holds; NaN for all else."""
    try:
        return math.nan if "_" in cell else float(cell)  # Python reads 1_000, which no table means
    except ValueError:
        return math.nan


def is_missing(cell: str) -> bool:
    """Tell whether a cell stands for a number that is not there."""
    return cell.strip().lower() in MISSING


def is_word(cell: str) -> bool:
    """Tell whether a cell holds something other than a number, finite or not."""
    return math.isnan(number(cell)) and cell.strip().lstrip("+-").lower() not in ("", "nan")


def written(cell: str) -> tuple[list[str], str] | None:
    """Return how a cell that looks like a number should be written, in one way or two, and the unit that it carries.

    `20,84` -> ["20.84"]; `3.4k` -> ["3400", "3.4"], "k"; `1,234` -> ["1.234", "1234"]; `$5,234.50` -> ["5234.50"];
    `(3)` -> ["-3"]; `12.1 °C` -> ["12.1"], "°C". None: it does not look like a number.
    """
    cell = bared(cell)
    other = other_number(cell)
    if other is not None:
        return [other], ""
    # Compatibility forms: no-break and thin spaces become spaces, full-width digits digits.
    text = CURRENCY.sub(" ", unicodedata.normalize("NFKC", cell).translate(SIGNS)).strip()
    figure = FIGURE.search(text)
    if figure is None:
        return None
    before, after = text[: figure.start()], text[figure.end() :]
    if BEFORE.fullmatch(before) is None:
        return None
    negative = "-" in before or ("(" in before and ")" in after) or after.rstrip().endswith("-")
    unit = after if AFTER.fullmatch(after) is None else ""
    unit = unit.strip(" ()[]*-+")
    if unit and (len(unit) > LONGEST_UNIT or UNIT.fullmatch(unit) is None):
        return None
    sign = "-" if negative else ""
    plain = [sign + digits + (figure["power"] or "") for digits in _plain(figure["digits"])]
    if unit in MULTIPLES:
        return [*(_times(digits, MULTIPLES[unit]) for digits in plain), *plain], unit
    return plain, unit


def _plain(digits: str) -> list[str]:
    """Write digits with a point and no marks between thousands; where one mark could be either, in both ways."""
    marks = re.sub(r"\d", "", digits)
    if not marks:
        return [digits]
    last = marks[-1]
    whole, _, part = digits.rpartition(last)
    bare = re.sub(r"\D", "", whole)
    joined = bare + part
    if last not in ".,":
        return [joined]
    if len(marks) > 1:
        grouped = marks.count(last) > 1
        return [joined] if grouped else [f"{bare}.{part}"]
    if last == "," and len(part) == 3 and 1 <= len(bare) <= 3 and bare != "0":
        return [f"{bare}.{part}", joined]
    return [f"{bare or 0}.{part or 0}"]


def _times(digits: str, power: int) -> str:
    """Write so many times a power of ten."""
    return f"{Decimal(digits).scaleb(power).normalize():f}"
