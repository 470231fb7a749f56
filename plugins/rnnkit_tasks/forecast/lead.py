"""The rows before a window of a stream from which its gaps are filled, as they are in a whole table."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rnnkit_tasks.forecast.held import Span
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.table.cells import is_missing


class Lead(NamedTuple):
    """Rows before a window, empty but for the last cell of each column that was not."""

    rows: int
    """How many there are."""
    places: dict[str, int]
    """By column, how many rows before the window that cell stands."""

    @classmethod
    def of(cls, span: Span, filled: Iterable[str], ahead: Sequence[str], learnt: Learnt) -> "Lead":
        """Return what is needed of them.

        A line over a gap needs to begin where it does; what is repeated may stand right before the window. What is
        known ahead is read in rows that are as many as the horizon before its own, so its gaps reach back as far.

        Args:
            span: the window.
            filled: columns whose gaps are filled from before.
            ahead: those of them that are known ahead.
            learnt: of the run.
        """
        lead, lines, reach = 0, {}, {name: learnt.horizon if name in ahead else 0 for name in filled}
        for name in reach:
            cells = [row.cells[name] for row in (span.rows if name in ahead else span.rows[: learnt.window])]
            lines[name] = learnt.missing == "interpolate" and not all(map(is_missing, cells))
            if any(map(is_missing, cells if name in ahead else cells[:1])):
                back = span.before - span.gone[name][0] if lines[name] and name in span.gone else 1
                lead = max(lead, back + reach[name])
        lead = min(lead, span.before)
        places = {}
        for name, (at, _) in span.gone.items():
            if lines[name]:
                places[name] = span.before - at
            else:  # as far from the first row as it is, where that is nearer than its gaps reach
                places[name] = 1 if at >= reach[name] else lead - at
        return cls(lead, {name: place for name, place in places.items() if 1 <= place <= lead})
