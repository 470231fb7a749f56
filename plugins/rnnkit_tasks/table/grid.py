"""A grid of even steps in time: in which of its cells times lie, and when those begin."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.table.steps import SHORT, Step
from rnnkit_tasks.table.zones import local, universal


class Grid(NamedTuple):
    """Cells of one step in time each, counted from 1970."""

    step: Step
    zone: str = ""
    """Whose clock says when days and longer steps begin; "": no clock that is ever changed."""

    def holding(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the number of the cell that each of the times (N,), in seconds since 1970, lies in."""
        return self.step.holding(local(seconds, self.zone) if self._by_clock else seconds)

    def begins(self, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when cells (N,) that follow each other begin, in seconds since 1970."""
        seconds = self.step.begins(numbers)
        return universal(seconds, self.zone) if self._by_clock else seconds

    @property
    def _by_clock(self) -> bool:
        return bool(self.zone) and self.step.unit not in SHORT
