"""The form of a kernel: what its text leaves open, settled by what the compiler says that it spills."""

import logging
from collections.abc import Callable
from typing import NamedTuple

from rnnkit.errors import first_line
from rnnkit_compiler.backends.triton.tiles import Tiles, fitted

logger = logging.getLogger("rnnkit")


class Form(NamedTuple):
    """Tiles, and what stays on chip."""

    tiles: Tiles
    holds_weights: bool = False
    """Whether a program of a grid keeps its columns of the weights in its registers over all steps."""


def settled(first: Form, spilled_by: Callable[[Form], int]) -> Form:
    """Return the first form in which a kernel spills nothing, or that in which it spills least.

    On a device and in the table of the documentation it is the same rule: weights that would have to be spilled are not
    held, and tiles are made smaller.

    Args:
        first: the one to be tried first.
        spilled_by: compiles the kernel, and returns the bytes that a thread spills.
    """
    if first.holds_weights and _holds(first, spilled_by):
        return first
    return Form(fitted(first.tiles, lambda tiles: spilled_by(Form(tiles))))


def _holds(form: Form, spilled_by: Callable[[Form], int]) -> bool:
    try:
        return not spilled_by(form)
    except Exception as error:  # of the compiler: without them it may do
        logger.debug("weights are not held on chip: %s", first_line(error))
        return False
