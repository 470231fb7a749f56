"""What the author of a step calls its tensors: the names of local variables, for those who read generated code."""

import sys
from collections.abc import Iterator, Mapping
from types import FrameType

from torch import Tensor

FOREIGN = ("torch", __name__.split(".")[0])
"""Packages whose local variables are nobody's names for anything."""

DEEPEST = 12
"""Frames between an operation and the author's line, at most."""


def author_frame() -> FrameType | None:
    """Return the innermost frame that is neither torch's nor the compiler's; None if there is none nearby."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(DEEPEST):
        if frame is None or frame.f_globals.get("__name__", "").split(".")[0] not in FOREIGN:
            return frame
        frame = frame.f_back
    return None


def names_in(frame: FrameType | None, numbers: Mapping[int, int]) -> Iterator[tuple[int, str]]:
    """Return the numbers of tensors that local variables name, and the names.

    Args:
        frame: in which they are looked for.
        numbers: of tensors, by their ids.
    """
    for name, value in frame.f_locals.items() if frame is not None else ():
        if isinstance(value, Tensor) and id(value) in numbers and name.isascii():
            yield numbers[id(value)], name
