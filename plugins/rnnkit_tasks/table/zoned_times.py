"""Times as a table writes them, on the clock of a zone: of cells that are local, and of cells with offsets from UTC."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.dates import offsets
from rnnkit_tasks.table.written_times import OFFSET, Writer, iso, writer_of
from rnnkit_tasks.table.zones import local, offset_at

END = re.compile(r"(?:UTC|GMT|Z)?(?:[+-]\d\d?(?::?\d\d)?)?$", re.IGNORECASE)
"""How far a time is from UTC, at the end of a cell."""

NAMED = re.compile(r"\s*\[.*\]$")
"""A zone's name behind that."""

WORD = re.compile(
    r":\d\d(?:[.,]\d+)?\s*(?:[ap]\.?m\.?)?\s*\[?(?P<zone>[a-z]{3,4}|[a-z]+(?:/[a-z_]+)+)\]?$", re.IGNORECASE | re.ASCII
)
"""A word for a zone behind a time of day, such as CET: it stands for several zones, or for one by half the year."""

HOUR = 3600.0


def has_offset(cells: Sequence[str]) -> bool:
    """Tell whether times say how far they are from UTC, as 2024-01-31T13:45+01:00 does, by the last one there is."""
    last = next((cell.strip() for cell in reversed(cells) if not is_missing(cell)), "")
    return OFFSET.search(NAMED.sub("", last)) is not None


def zone_words(cells: Sequence[str]) -> list[str]:
    """Return the words for zones that stand behind times, in order of appearance."""
    return [*dict.fromkeys(found["zone"] for cell in cells if (found := WORD.search(cell.strip())))]


def offset_in(cell: str) -> str:
    """Return how far a time says it is from UTC, as it is written there; "" if it does not."""
    end = END.search(cell.strip()) if OFFSET.search(cell.strip()) else None
    return "" if end is None else end[0]


def writer_in(
    zone: str,
    cells: Sequence[str],
    seconds: NDArray[np.float64],
    reading: str = "",
    beside: Sequence[str] = (),
) -> Writer | None:
    """Return what writes times on the clock of a zone as the cells of a column (N,) do; None: the form is not known.

    Args:
        zone: whose clock; "": that of the cells.
        cells: of a column that tells the time, alone or with others.
        seconds: (N,) the times of the rows, since 1970 in UTC; what is written is told so as well.
        reading: "day first" or "month first", where few cells could not tell.
        beside: (N,) the cells of the last column that tells the time with this one, which may have the offsets of both.
    """
    if not zone and not (beside and has_offset(beside) and not has_offset(cells)):
        return writer_of(cells, seconds, reading)
    if not zone:
        ahead = HOUR * offsets([offset_in(cell) for cell in beside])
        apart, last = writer_of(cells, seconds + ahead, reading), float(ahead[-1])
        return None if apart is None else lambda at: apart(at + last)
    if not has_offset(cells):
        plain = writer_of(cells, local(seconds, zone), reading)
        return None if plain is None else lambda at: plain(at + offset_at(at, zone))
    write = writer_of(cells, seconds, reading)
    if write is None or NAMED.search(cells[-1].strip()):
        return None
    end = END.search(cells[-1].strip())
    like = "" if end is None else end[0]
    own = HOUR * float(offsets([like])[0])

    def on_the_clock(at: float) -> str:
        ahead = offset_at(at, zone)
        return END.sub("", write(at + ahead - own), count=1) + _written(ahead, like)

    return on_the_clock


def iso_in(zone: str, seconds: float, like: str) -> str:
    """Write a time as 2024-01-31 13:45:10 on the clock of a zone; with its offset where a cell has one, too."""
    if not zone:
        return iso(seconds, like)
    ahead = offset_at(seconds, zone)
    if not has_offset([like]):
        return iso(seconds + ahead)
    return iso(seconds + ahead, like).removesuffix("+00:00") + _written(ahead, "+00:00")


def _written(ahead: float, like: str) -> str:
    """Write an offset as a cell has it: +02:00, +0200 or +02."""
    hours, minutes = divmod(round(abs(ahead) / 60), 60)
    sign = "-" if ahead < 0 else "+"
    if re.search(r"[+-]\d\d?$", like) and not minutes:
        return f"{sign}{hours:02d}"
    colon = "" if re.search(r"[+-]\d{4}$", like) else ":"
    return f"{sign}{hours:02d}{colon}{minutes:02d}"
