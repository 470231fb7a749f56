"""Times of a stream, written as the rows write them that have come."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from rnnkit_tasks.forecast.rows import Row
from rnnkit_tasks.table.resampling import written_plainly
from rnnkit_tasks.table.written_times import LOOKED_AT, Writer
from rnnkit_tasks.table.zoned_times import writer_in


class Writing:
    """Writes times as the cells of a column do that have come.

    Args:
        zone: on whose clock; "": that of the cells.
        reading: "day first" or "month first", where that is known.
        names: of the columns that tell the time.
        name: of this one.
    """

    def __init__(self, zone: str, reading: str, names: Sequence[str], name: str) -> None:
        self._zone, self._reading, self._name, self._first = zone, reading, name, name == names[0]
        self._last = names[-1]
        self._cells: deque[str] = deque(maxlen=LOOKED_AT)
        self._beside: deque[str] = deque(maxlen=LOOKED_AT)
        self._seconds: deque[float] = deque(maxlen=LOOKED_AT)
        self._writer: Writer | None = None

    def see(self, row: Row) -> None:
        """Take note of how a row writes its time."""
        cell = row.cells[self._name].strip()
        self._cells.append(cell)
        self._beside.append(row.cells[self._last].strip())
        self._seconds.append(row.seconds)
        if self._writer is not None and self._writer(row.seconds) != cell:
            self._writer = None

    def written(self, seconds: float) -> str:
        """Return a time as a cell."""
        if self._writer is None:
            cells = [*self._cells]
            found = writer_in(self._zone, cells, np.array(self._seconds), self._reading, [*self._beside])
            self._writer = found or written_plainly(self._zone, cells[-1], self._first)
        return self._writer(seconds)
