"""What the author of a step calls its tensors, for those who read generated code; in which line something is done."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FrameType, TracebackType

from torch import Tensor

from rnnkit_compiler.trace.owners import is_own, package

FOREIGN = ("torch", __name__.split(".")[0])
"""Packages whose local variables are nobody's names for anything."""

RUNNING = f"{FOREIGN[1]}.trace.record"
"""The module that runs steps to record them."""

DEEPEST = 12
"""Frames between an operation and the author's line, at most."""


Place = tuple[CodeType, int, str]
"""Code, a line of it by its number, and the name of its module."""


def place_of(frame: FrameType | None) -> Place | None:
    """Return where a frame is."""
    return None if frame is None else (frame.f_code, frame.f_lineno, frame.f_globals.get("__name__", ""))


def line_at(place: Place | None) -> str:
    """Name the line of a place, `cells.py:12`; empty: it is not the author's, or in no file."""
    if place is None or not is_own(place[2], frozenset()) or place[0].co_filename.startswith("<"):
        return ""
    return f"{Path(place[0].co_filename).name}:{place[1]}"


def author_frame() -> FrameType | None:
    """Return the innermost frame that is neither torch's nor the compiler's; None if there is none nearby."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(DEEPEST):
        if frame is None or frame.f_globals.get("__name__", "").split(".")[0] not in FOREIGN:
            return frame
        frame = frame.f_back
    return None


def author_line() -> str:
    """Return where in the author's code the caller is, `cells.py:12`; in a library's where it is in no other."""
    return _line_in(_outwards(sys._getframe(1)))


def author_line_of(error: BaseException) -> str:
    """Return where in the author's code something was raised; empty: outside of it."""
    frames = [*_inwards(error.__traceback__)]
    return _line_in(reversed(frames))


def _outwards(frame: FrameType | None) -> Iterator[tuple[FrameType, int]]:
    """Give frames and the lines they are at, up to what runs a step."""
    while frame is not None and frame.f_globals.get("__name__") != RUNNING:
        yield frame, frame.f_lineno
        frame = frame.f_back


def _inwards(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _line_in(frames: Iterable[tuple[FrameType, int]]) -> str:
    """Name the first of some lines that is the author's; where none is, the first of another library than torch."""
    foreign = ""
    for frame, number in frames:
        module = frame.f_globals.get("__name__", "")
        if package(module) in FOREIGN:
            continue
        line = f"{Path(frame.f_code.co_filename).name}:{number}"
        if is_own(module, frozenset()):
            return line
        foreign = foreign or line
    return foreign


def names_in(frame: FrameType | None, numbers: Mapping[int, int]) -> Iterator[tuple[int, str]]:
    """Return the numbers of tensors that local variables name, and the names.

    Args:
        frame: in which they are looked for.
        numbers: of tensors, by their ids.
    """
    for name, value in frame.f_locals.items() if frame is not None else ():
        if isinstance(value, Tensor) and id(value) in numbers and name.isascii():
            yield numbers[id(value)], name
