"""How rows of a series arrive in a stream: some have come, others are known ahead until they come."""

import logging

import numpy as np

from rnnkit_tasks.forecast.held import Held
from rnnkit_tasks.forecast.rows import PLACE, Row, unfit

log = logging.getLogger("rnnkit.tasks")


class Arrivals:
    """Takes rows of a series as they stand.

    Args:
        held: where they are put.
        judged: the columns that hold nothing in a row that is known ahead.
        gaps: whether such a row may be one that has come and lacks them.
    """

    def __init__(self, held: Held, judged: list[str], gaps: bool) -> None:
        self.held, self._judged, self._gaps = held, judged, gaps
        self._come, self._given = -np.inf, -np.inf
        self._left_out: set[str] = set()

    def before(self, ahead: bool) -> float:
        """Return when the row was before the next one, which has come or is known ahead; -inf: there is none."""
        return self._given if ahead else self._come

    def add(self, row: Row, ahead: bool) -> None:
        """Take a row, which has come or is known ahead.

        Raises:
            DataError: it follows rows that lack what must be there.
        """
        self._take(row, ahead)
        if np.isfinite(row.seconds):
            self._given = row.seconds
            self._come = self._come if ahead else row.seconds

    def end(self) -> None:
        """Take note that no row will come any more."""

    def leave_out(self, row: Row, why: str) -> None:
        """Say that a row is left out, once for each reason."""
        if why not in self._left_out:
            self._left_out.add(why)
            log.warning("%s, line %d %s and is left out, as are others like it", PLACE, row.line, why)

    def _take(self, row: Row, ahead: bool) -> None:
        if ahead:
            self._give(row)
        else:
            self._arrive(row)

    def _give(self, row: Row) -> None:
        """Take a row that is known ahead; it takes the place of one that was given before of the same time."""
        if row.seconds < self._come:
            self.leave_out(row, "is of a time that has passed, holds nothing but what is known ahead,")
            return
        later = bool(self.held.ahead) and row.seconds < self.held.ahead[-1].seconds
        same = [at for at, other in enumerate(self.held.ahead) if later and other.seconds == row.seconds]
        if same:
            self.held.ahead[same[0]] = row
        else:
            self.held.ahead.append(row)

    def _arrive(self, row: Row) -> None:
        """Take a row that has come: those known ahead of earlier times never came, that of its own time gives way."""
        ahead = self.held.ahead
        timed = np.isfinite([row.seconds, *(other.seconds for other in ahead)]).all()
        passed = sum(other.seconds < row.seconds for other in ahead) if timed else len(ahead)
        if passed and not self._gaps:
            self._refuse(ahead[0], row)
        self.held.rows += ahead[:passed]
        del ahead[:passed]
        if ahead and ahead[0].seconds == row.seconds:
            del ahead[0]
        self.held.rows.append(row)

    def _refuse(self, gap: Row, row: Row) -> None:
        """Raise DataError for a row that never came, where its cells must not be empty."""
        what = "is of a later time" if np.isfinite(row.seconds) else "holds more, and no column tells the time of both"
        raise unfit(gap, self._judged[0], f", as in rows known ahead, and line {row.line} {what}")
