"""The rival: another way to run a call, which an unroller may be asked to compare itself with."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from rnnkit.core.cell import State


class Rival(NamedTuple):
    """Another way to run a call of a cell.

    See `Unroller.beats`.
    """

    name: str
    """Names it, and all that its time depends on beside the cell and the shapes of the call."""

    nanoseconds: float
    """Of the forward pass, by a model."""

    run: Callable[[Tensor], tuple[Tensor, State]]
    """Runs the call on an input (T, B, D) in place of its own."""
