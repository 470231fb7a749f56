"""The local variables that a cell's `step` holds when it returns."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from torch import Tensor

from rnnkit.core.cell import Cell
from rnnkit.layers.wrapper import nested_cells


@contextmanager
def local_tensors(cell: Cell) -> Iterator[dict[str, Tensor]]:
    """Collect, while a step runs, the tensors among the local variables of its methods as they return.

    Of two variables with one name, that of the outer method counts; `step` of the innermost cell comes before others.
    A profiler that is at work pauses meanwhile.
    """
    inside = list(nested_cells(cell))
    codes = {getattr(type(shell).step, "__code__", None) for shell in inside}
    collected: dict[str, Tensor] = {}
    of_steps: dict[str, Tensor] = {}

    def look(frame: FrameType, event: str, argument: Any) -> None:
        names = frame.f_code.co_varnames
        if event != "return" or not names or not any(frame.f_locals.get(names[0]) is shell for shell in inside):
            return
        tensors = {name: value for name, value in frame.f_locals.items() if isinstance(value, Tensor)}
        collected.update(tensors)
        if frame.f_code in codes:
            for name, value in tensors.items():
                of_steps.setdefault(name, value)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield collected
    finally:
        sys.setprofile(before)
        collected.update(of_steps)
