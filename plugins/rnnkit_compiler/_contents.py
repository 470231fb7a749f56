"""Contents of buffers for which there is a program each: a count of calls would have one for every call."""

from collections.abc import Hashable

MOST = 16
"""Contents that never come back before no more are recorded."""


class Contents:
    """What calls of cells that are alike have found in some buffers.

    What comes back after something else is no count: cells that have each a number of their own, say.
    """

    def __init__(self) -> None:
        self._comes_back: dict[Hashable, bool] = {}
        self._last: Hashable = None

    def keep_changing(self, found: Hashable) -> bool:
        """Tell whether something new was found, and too much before that has not come back."""
        last, self._last = self._last, found
        if found in self._comes_back:
            self._comes_back[found] |= found != last
            return False
        if [*self._comes_back.values()].count(False) >= MOST:
            return True
        self._comes_back[found] = False
        return False
