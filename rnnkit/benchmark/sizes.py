"""The sizes that are measured: B rows, T steps, I features, H units."""

import re
from typing import NamedTuple

from rnnkit.errors import UsageError


class Size(NamedTuple):
    """Rows, steps, input and hidden size."""

    batch: int
    steps: int
    input_size: int
    hidden_size: int

    def __str__(self) -> str:
        return "x".join(map(str, self))


DEFAULT = (
    Size(1, 100, 64, 64),
    Size(1, 1000, 128, 128),
    Size(8, 200, 64, 64),
    Size(32, 100, 128, 128),
    Size(64, 128, 256, 256),
    Size(32, 128, 256, 512),
    Size(128, 64, 512, 512),
    Size(16, 64, 1024, 1024),
)
"""From one short row to large layers."""

ODD = (
    Size(7, 33, 50, 100),
    Size(3, 50, 17, 65),
    Size(20, 80, 200, 300),
    Size(48, 40, 96, 144),
)
"""Sizes that no register and no cache line divides."""


def parse_sizes(text: str) -> tuple[Size, ...]:
    """Read "BxTxIxH,...", such as "32x100x128x128,1x10x7x9".

    Raises:
        UsageError: not four whole numbers above zero, joined by x.
    """
    return tuple(map(_parse, text.split(",")))


def _parse(text: str) -> Size:
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){3}", text.strip(), re.ASCII):
        raise UsageError(f"size {text!r} is not of the form BxTxIxH, such as 32x100x128x128")
    return Size(*map(int, text.strip().split("x")))
