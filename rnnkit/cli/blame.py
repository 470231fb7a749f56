"""Whose code raised what nobody foresaw: a third party's cell, task or unroller, found by the traceback."""

import sys
import traceback
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from rnnkit.errors import one_line
from rnnkit.plugin.given_options import options_of

OUR_OWN = {
    "rnnkit",
    *(f"rnnkit_{kind}" for kind in ("cells", "compiler", "tasks", "unrollers", "wrappers", "zoo")),
}
"""Packages that rnnkit's distribution brings; what they raise is our own fault."""


def blamed(error: BaseException) -> str | None:
    """Return one line about the third party's object that raised an error; None where no such object did.

    The line names the innermost one whose method was running, with its options, the method, file and line.
    """
    if "torch" not in sys.modules:  # then there is no such object yet
        return None
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _top(frame) != "torch"]
    for frame, line in reversed(frames):
        owner = _owner(frame)
        if (noun := _noun(owner)) is not None:
            return _sentence(noun, owner, f"{frame.f_code.co_name}()", frame.f_code, line, error)
    return _beside(frames, error)


def _beside(frames: list[tuple[FrameType, int]], error: BaseException) -> str | None:
    """Blame a cell by its module, where a function beside it raised, as the backward of its own does."""
    cells = {type(cell).__module__.partition(".")[0]: cell for frame, _ in frames for cell in _cells_in(frame)}
    for frame, line in reversed(frames):
        if _top(frame) in cells:
            return _sentence("cell", cells[_top(frame)], f"{frame.f_code.co_name}()", frame.f_code, line, error)
    return None


def _sentence(noun: str, owner: Any, place: str, code: CodeType, line: int, error: BaseException) -> str:
    options = options_of(owner)
    where = f"{Path(code.co_filename).name}, line {line}"
    return f"{noun} {owner.name!r}{f' with {options}' if options else ''} fails in {place}, {where}: {one_line(error)}"


def _owner(frame: FrameType) -> Any:
    """Return the object whose method a frame runs, or None; elsewhere than here, any function that takes it first."""
    code = frame.f_code
    owner = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
    return owner if hasattr(type(owner), code.co_name) or _top(frame) not in OUR_OWN else None


def _noun(owner: Any) -> str | None:
    """Return "cell", "task" or "unroller" for a third party's; None for all else."""
    from rnnkit.core.cell import Cell
    from rnnkit.core.task import Task
    from rnnkit.core.unroller import Unroller

    if type(owner).__module__.partition(".")[0] in OUR_OWN:
        return None
    return next(
        (noun for noun, base in (("cell", Cell), ("task", Task), ("unroller", Unroller)) if _is(owner, base)), None
    )


def _is(owner: Any, base: type) -> bool:
    return issubclass(type(owner), base)  # not isinstance, which asks the object itself


def _cells_in(frame: FrameType) -> list[Any]:
    """Return the third parties' cells in the modules that a frame holds."""
    from torch import nn

    from rnnkit.layers.rnn import RNN

    held = [value for value in frame.f_locals.values() if issubclass(type(value), nn.Module)]
    modules = [module for value in held for module in value.modules()]
    cells = [cell for module in modules if isinstance(module, RNN) for cell in module.cells]  # no modules of a layer's
    modules += [module for cell in cells for module in cell.modules()]
    return [module for module in modules if _noun(module) == "cell"]


def _top(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]
