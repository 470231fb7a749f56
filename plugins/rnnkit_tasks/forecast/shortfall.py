"""What a table lacks to be forecast as asked: rows for a window, and what is to be known ahead."""

from collections.abc import Mapping, Sequence

from rnnkit.errors import DataError
from rnnkit_tasks.forecast.clock import ROW, Clock
from rnnkit_tasks.forecast.frame import Frame
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.forecast.origins import Origins
from rnnkit_tasks.forecast.roles import quoted

SHOWN = 12
"""Names of series in a line."""


class Shortfall:
    """Says what is not forecast, and why.

    Args:
        source: what the table is called.
        learnt: of the run.
        frame: the table as numbers.
        made: what is forecast of it.
    """

    def __init__(self, source: str, learnt: Learnt, frame: Frame, made: Origins) -> None:
        self.source, self.learnt, self.frame, self.made = source, learnt, frame, made
        self._ahead = ", ".join(dict.fromkeys(quoted(learnt.features[at].name) for at in learnt.ahead))
        self._rows = [stop - one.rows.start for one, stop in zip(frame.series, frame.stops, strict=True)]

    def error(self) -> DataError:
        """Return the error of a table from which nothing can be forecast."""
        longest, window = max(self._rows), self.learnt.window
        if longest < window:
            return DataError(
                f"{self.source} has {longest} row(s); the run forecasts from {window}, so give at least as many"
            )
        return DataError(
            f"{self.source}: nothing can be forecast, for {self._ahead} is not known of the {self.learnt.horizon} "
            "row(s) after the last one; give rows that hold it below"
        )

    def without(self) -> list[str]:
        """Say which series get no forecast."""
        none = sorted({*range(len(self.frame.series))} - {*self.made.series.tolist()})
        short = [at for at in none if self._rows[at] < self.learnt.window]
        notes = []
        if short:
            rows = {self.frame.series[at].name: self._rows[at] for at in short}
            notes.append(no_forecast(rows, self.learnt.window))
        if blind := [at for at in none if at not in short]:
            which = _listed([repr(self.frame.series[at].name) for at in blind])
            notes.append(
                f"no forecast of {len(blind)} series, {which}: {self._ahead} is not known of the "
                f"{self.learnt.horizon} row(s) after their windows; give rows that hold it below"
            )
        return notes

    def behind(self, clocks: Sequence[Clock], asked: str) -> list[str]:
        """Say where the last forecast is made from a row before the last one, for want of what is to be known ahead.

        Args:
            clocks: what names the rows of each series.
            asked: the rows that forecasts are asked from.

        Raises:
            DataError: forecasts from the last row are asked for, and of no series a row beyond it can be forecast.
        """
        lasts = {at: int(self.made.ends[self.made.series == at].max()) for at in set(self.made.series.tolist())}
        late = {at: self.frame.stops[at] - 1 - end for at, end in sorted(lasts.items())}
        late = {at: rows for at, rows in late.items() if rows}
        if not late:
            return []
        first, horizon = next(iter(late)), self.learnt.horizon
        row = _called(clocks[first], lasts[first] - self.frame.series[first].rows.start)
        of = f" of series {self.frame.series[first].name!r}" if self.frame.series[first].name else ""
        others = f" (so are {len(late) - 1} other series behind)" if len(late) > 1 else ""
        remedy = f"give {horizon} row(s) with {self._ahead} beyond the last one"
        where = f"the last forecast{of} is made from {row}, {late[first]} row(s) before the last one{others}"
        if asked == "last" and len(late) == len(lasts) and min(late.values()) >= horizon:
            raise DataError(
                f"{self.source}: {self._ahead} is not known of any row after the last one, so {where}, and none lies "
                f"beyond it; {remedy}"
            )
        return [f"{self._ahead} is not known of all {horizon} row(s) after the last one, so {where}; {remedy}"]


def no_forecast(rows: Mapping[str, int], window: int) -> str:
    """Say which series, with so many rows, are not forecast for want of a window."""
    which = _listed([f"{name!r} ({count} row(s))" for name, count in rows.items()])
    return (
        f"no forecast of {len(rows)} series, {which}: the run forecasts from {window} row(s), so give at least as many"
    )


def _called(clock: Clock, row: int) -> str:
    """Return what a row is called, by its times or its number."""
    called = clock.index(range(row, row + 1))
    times = " ".join(cells[0] for name, cells in called.items() if name != ROW and cells[0])
    return times or f"row {called[ROW][0]}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
