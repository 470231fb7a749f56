"""The way in which a cell is to be run."""

from typing import NamedTuple


class Way(NamedTuple):
    """How a program is to be run."""

    backend: str | None = None
    """Which is wanted; None: the first that takes the step."""

    narrow: bool = False
    """Whether factors of products may be rounded to bfloat16."""

    apart: bool = False
    """Whether the projection stays apart from the steps."""
