"""The form of a kernel: what its text leaves open, settled by what the compiler says that it spills."""

import logging
import re
from collections.abc import Callable
from math import ceil
from typing import NamedTuple

from rnnkit_compiler.backends.triton.failure import in_one_line
from rnnkit_compiler.backends.triton.tiles import Tiles

logger = logging.getLogger("rnnkit")

ALIGNMENT = 8
"""Bytes that a thread's local memory is a multiple of."""


class Form(NamedTuple):
    """Tiles, what stays on chip, and how registers are given out."""

    tiles: Tiles
    holds_weights: bool = False
    """Whether a program of a grid keeps its columns of the weights in its registers over all steps."""

    all_registers: bool = False
    """Whether a thread may have all registers there are: else the compiler may spill some so that more fit at once."""

    @property
    def options(self) -> dict[str, int]:
        """What the compiler is told."""
        return {"num_warps": self.tiles.warps, **({"maxnreg": 255} if self.all_registers else {})}


MOST_REGISTERS = 255
"""Of a thread, on every GPU of NVIDIA's."""


def settled(first: Form, spilled_by: Callable[[Form], int], is_full: Callable[[Form], bool]) -> Form:
    """Return the first form in which a kernel spills nothing, or that in which it spills least.

    On a device and in the table of the documentation it is the same rule: weights that would have to be spilled are not
    held, and tiles are made smaller. A compilation takes seconds: none is made that gives what another has given.

    Args:
        first: the one to be tried first.
        spilled_by: compiles the kernel, and returns the bytes that a thread spills.
        is_full: tells whether a thread that spilled had all registers there are, or what spills are no registers.
    """
    if first.holds_weights and _holds(first, spilled_by):
        return first
    tiles = (first.tiles, *first.tiles.smaller)
    spilled: dict[Form, int] = {}
    for all_registers in (False, True):
        for one in tiles:
            if all_registers and is_full(Form(one)):
                continue
            form = Form(one, all_registers=all_registers)
            spilled[form] = spilled_by(form)
            if not spilled[form]:
                return form
    return min(spilled, key=lambda form: spilled[form])


def spilled_of(local: int, ptx: str) -> int:
    """Return the bytes that a thread spills, of those that it has in local memory.

    Args:
        local: bytes of a thread that are in local memory.
        ptx: the code that registers were given to: arrays that it declares, as sines of large angles need one, are no
            spilled registers.
    """
    declared = sum(map(int, re.findall(r"\.local [^;]*\[(\d+)\];", ptx)))
    return max(0, local - ceil(declared / ALIGNMENT) * ALIGNMENT)


def _holds(form: Form, spilled_by: Callable[[Form], int]) -> bool:
    try:
        return not spilled_by(form)
    except Exception as error:  # of the compiler: without them it may do
        logger.debug("weights are not held on chip: %s", in_one_line(error))
        return False
