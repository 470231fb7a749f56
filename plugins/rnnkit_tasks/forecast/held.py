"""The rows of a series in a stream that are still needed: for the next windows, and for the gaps at their beginning."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rnnkit_tasks.forecast.rows import Row
from rnnkit_tasks.table.cells import is_missing


class Span(NamedTuple):
    """A window, and the rows after it that are known ahead."""

    rows: list[Row]
    before: int
    """Rows of the series that came before them."""
    gone: Mapping[str, tuple[int, str]]
    """By column, where before them the last cell stood that was not empty, counted as they are, and what it held."""


class Held:
    """The rows of a series.

    Args:
        window: rows that a forecast is made from.
        horizon: rows after these of which something must be known; 0: of none.
        filled: columns whose gaps are filled from before.
        ahead: columns that are to be known ahead, and may be empty.
    """

    def __init__(self, window: int, horizon: int, filled: Sequence[str], ahead: Sequence[str]) -> None:
        self._window, self.horizon, self._filled, self.known = window, horizon, filled, ahead
        self.rows: list[Row] = []
        """That have come for good, the first one of the next window first."""
        self.ahead: list[Row] = []
        """Of which is known what is known ahead."""
        self.further = False
        """Whether it is known of later ones, too."""
        self.begin = 0
        """Rows that came before `rows`."""
        self._gone: dict[str, tuple[int, str]] = {}

    @property
    def count(self) -> int:
        """Rows that have come for good."""
        return self.begin + len(self.rows)

    def spans(self) -> Iterator[Span]:
        """Yield what can be forecast from now, and let go of what is needed no longer."""
        while len(self.rows) >= self._window and len(self.rows) + self._reach() >= self._window + self.horizon:
            rows = [*self.rows[: self._window + self.horizon]]
            rows += self.ahead[: self._window + self.horizon - len(rows)]
            yield Span(rows, self.begin, {**self._gone})
            self._leave(self.rows.pop(0))

    def lack(self) -> int:
        """Return from how many of the last rows nothing was forecast, for want of what is to be known ahead."""
        return max(0, len(self.rows) - self._window + 1)

    def _reach(self) -> int:
        """Return how many rows ahead there are up to the last one that holds all that is known ahead."""
        reach = len(self.ahead)
        while reach and not self.further and any(is_missing(self.ahead[reach - 1].cells[name]) for name in self.known):
            reach -= 1
        return reach

    def _leave(self, row: Row) -> None:
        """Remember what a row held that leaves the window."""
        for name in self._filled:
            if not is_missing(row.cells[name]):
                self._gone[name] = (self.begin, row.cells[name])
        self.begin += 1
