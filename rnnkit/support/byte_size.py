"""Numbers of bytes, as people write them."""

import re

UNITS = {
    "": 1,
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", start=1)},
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", start=1)},
    **{letter: 1024**power for power, letter in enumerate("kmgt", start=1)},
    "b": 1,
}
SIZE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)


def parse_bytes(text: str) -> int:
    """Read "4GiB", "500MB", "2g" or plain bytes. KiB, MiB, ... and bare letters count by 1024, KB, MB, ... by 1000.

    Raises:
        ValueError: it is no such number, or less than a byte.
    """
    match = SIZE.fullmatch(text)
    unit = None if match is None else UNITS.get(match[2].lower())
    count = (
        0 if match is None or unit is None else int(float(match[1]) * unit) if "." in match[1] else int(match[1]) * unit
    )
    if not count:
        raise ValueError(f"{text!r} is not a number of bytes > 0 such as 4GiB, 500MB, 2g or 1000000")
    return count


def show_bytes(count: float) -> str:
    """Write a number of bytes with three digits or so: "3.1 GiB"."""
    unit, size = "bytes", float(count)
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1000:
            break
        unit, size = larger, size / 1024
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
