"""A case of the gradient matrix, and the product of all."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from rnnkit.errors import UsageError, nearest

LAYOUTS = ("time-major", "batch-first", "unbatched", "lengths", "packed", "reset")
"""How a batch is handed to the layer."""

DIRECTIONS = ("uni", "bi")
"""From the first step to the last, or both ways."""

CHECKS = ("first", "second", "vmap", "jvp", "float32")
"""What is held to the truth: outputs, states and their gradients; gradients of gradients; gradients of single samples
by `torch.func.vmap`; forward mode; all of the first in float32."""


class Case(NamedTuple):
    """One cell through one unroller in one layout and direction, and what is checked."""

    cell: str
    unroller: str
    layout: str
    direction: str
    check: str

    def __str__(self) -> str:
        return "/".join(self)

    @property
    def problem(self) -> str:
        """What it has in common with other unrollers and checks: they see the same numbers and share the truth."""
        return f"{self.cell}/{self.layout}/{self.direction}"

    @classmethod
    def read(cls, text: str) -> "Case":
        """Read what `str` wrote.

        Raises:
            UsageError: it is no such name; cell and unroller are not looked up here.
        """
        parts = text.rsplit("/", 4)
        if len(parts) != len(cls._fields) or not all(parts):
            raise UsageError(f"{text!r} is no case; it must be {'/'.join(name.upper() for name in cls._fields)}")
        case = cls(*parts)
        for label, known in (("layout", LAYOUTS), ("direction", DIRECTIONS), ("check", CHECKS)):
            given = getattr(case, label)
            if given not in known:
                raise UsageError(f"{text!r}: unknown {label} {given!r}{nearest(given, known)}; {', '.join(known)}")
        return case


def seed_of(problem: str, seed: int = 0) -> int:
    """Return the seed of a problem's numbers: the same in every run and on every machine."""
    return zlib.crc32(f"{seed}/{problem}".encode())


def product_of(
    cells: Iterable[str],
    unrollers: Sequence[str],
    checks: Sequence[str] = CHECKS,
    layouts: Sequence[str] = LAYOUTS,
    directions: Sequence[str] = DIRECTIONS,
) -> Iterator[Case]:
    """Yield the cases of these names, those of one problem together."""
    for cell, layout, direction, unroller, check in product(cells, layouts, directions, unrollers, checks):
        yield Case(cell, unroller, layout, direction, check)
