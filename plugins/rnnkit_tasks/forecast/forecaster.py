"""Forecasts of a trained model over its own table or another one, with dates, units and intervals."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

import rnnkit
from rnnkit.errors import DataError, UsageError, check_whole, nearest
from rnnkit_tasks.forecast.calibration import Calibration
from rnnkit_tasks.forecast.clock import Clock
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.forecast.outputs import outputs
from rnnkit_tasks.forecast.rivals import OURS, RIDGE, errors, ridge, rivals, season_of, unbeaten, unknown
from rnnkit_tasks.forecast.roles import quoted
from rnnkit_tasks.forecast.stream import Stream
from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.source import check_rows
from rnnkit_tasks.table.table import SHOWN, Table

Numbers = NDArray[np.float64]
Rows = NDArray[np.int64]

FAR, ENOUGH = 0.1, 100
"""From the share that an interval is made to hold, and of so many rows: what is told."""

MOST = 0.5
"""Of the steps of the first window of a stream, the share by which the run's own pace is known again."""

GONE = "its table has changed or is not at hand; give it back as the run learnt from it, or say where it is"
"""Why something is not known."""

FINER = 1e-4
"""Of a target's deviation: what the last digit of a forecast stands for."""


class TableForecaster(rnnkit.Predictor):
    """Forecasts rows of a table.

    Args:
        model: trained, in evaluation mode.
        learnt: what the run learnt of its table.
        calibration: what the task's `calibration` returned, or {}.
    """

    def __init__(self, model: nn.Module, learnt: Learnt, calibration: Mapping[str, Any]) -> None:
        self.model, self.learnt = model, learnt
        self.calibration = Calibration.from_json(calibration, learnt)

    def predict(
        self, data: str | PathLike[str] | None = None, *, interval: float = 0.9, season: int | None = None
    ) -> rnnkit.Forecast:
        """Forecast the rows of a table, and those after its end that its last windows reach.

        Args:
            data: a table as the run's own, whose first `window` rows are read before anything is forecast; None: the
                run's own, of which the rows kept for a test are forecast.
            interval: share of the truth that lies within the bounds.
            season: rows of a season; None: as the times suggest.

        Raises:
            UsageError: `interval` is no share, or `season` no number of rows.
            DataError: the table is missing, too short or unfit.
        """
        check_interval(interval)
        if season is not None:
            check_whole("season", season)
        learnt = self.learnt
        notes: list[str] = []
        source = learnt.source if data is None else learnt.source._replace(path=Path(data), kept=True)
        out = learnt.roles.left_out if learnt.roles.time else ()
        table, time, _ = source.read([*out], learnt.reading)
        self._check_columns(table, data is None)
        count = table.rows
        if data is None:
            check_rows(table, learnt.rows)
            count = learnt.rows  # later ones are left out; who reads the run says so
        elif count < learnt.window:
            raise DataError(
                f"{table.source} has {count} row(s); the run forecasts from {learnt.window}, so give at least as many"
            )
        first = learnt.test.start if data is None else learnt.window - 1 + learnt.horizon
        rows = np.arange(first, count + learnt.horizon)
        numbers = table.numbers(learnt.roles.inputs, leave=False)[:count]
        series = learnt.inputs.apply(table.source, learnt.roles.inputs, numbers)
        actual = self._actual(table, count, notes)
        clock = Clock(
            table.head(count), None if time is None else time.head(count), learnt.roles.time, self.calibration.pace
        )
        index = clock.index(range(first, count + learnt.horizon))
        known = max(0, count - first)
        what = "the rows kept for a test" if data is None else f"{table.source}"
        late = len(rows) - known
        notes.insert(
            0,
            f"{len(rows)} forecast(s), {learnt.horizon} row(s) ahead: {known} in {what}, {late} beyond the last row",
        )
        return self._forecast(
            series, actual, rows, index, [*notes, *clock.notes], interval, season_of(season, clock.pace)
        )

    def follow(self, lines: Iterable[str], *, interval: float = 0.9) -> Iterator[rnnkit.Forecast]:
        """Forecast from each row as it comes, as soon as there are `window` of them: (1, K) a time.

        Args:
            lines: of a table as the run's own, the names first where it has names.
            interval: share of the truth that lies within the bounds.

        Raises:
            UsageError: `interval` is no share.
            DataError: a line is unfit, or there are fewer rows than a window has.
        """
        check_interval(interval)
        learnt = self.learnt
        stream = Stream(lines, learnt.source, learnt.roles.inputs, learnt.roles.time, learnt.window, learnt.reading)
        clock: Clock | None = None
        for window in stream.windows():
            series = learnt.inputs.apply(window.place, learnt.roles.inputs, window.numbers)
            if clock is None:
                clock = Clock(window.table, window.time, learnt.roles.time, self.calibration.pace, MOST)
            else:
                clock = clock.going_on(window.table, window.time, window.before)
            row = np.array([learnt.window - 1 + learnt.horizon])
            index = {name: cells[-1:] for name, cells in clock.index(range(learnt.window, int(row[0]) + 1)).items()}
            actual = np.full((learnt.window, len(learnt.roles.targets)), np.nan)
            yield self._forecast(series, actual, row, index, clock.notes, interval, None)

    def _forecast(
        self,
        series: Numbers,
        actual: Numbers,
        rows: Rows,
        index: Mapping[str, Sequence[str]],
        notes: list[str],
        interval: float,
        season: tuple[int | None, str] | None,
    ) -> rnnkit.Forecast:
        """Forecast rows (M,) from windows of the series (N, C), and hold them against the truth (N, K), where known."""
        learnt = self.learnt
        targets, scale, ends = learnt.roles.targets, learnt.targets, rows - learnt.horizon
        values = outputs(self.model, series, ends, learnt.window) * scale.scale + scale.mean
        lower, upper, said = self._bounds(values, interval)
        beyond = np.full((len(rows), len(targets)), np.nan)
        beyond[rows < len(actual)] = actual[rows[rows < len(actual)]]
        made = [*notes, said]
        judged: tuple[rnnkit.ForecastError, ...] = ()
        if season is not None and np.isfinite(beyond).any():
            padded = np.concatenate([actual, np.full((learnt.horizon, len(targets)), np.nan)])
            methods = {OURS: values, **rivals(padded, rows, learnt.horizon, season[0])}
            made.append(season[1])
            if self.calibration.ridge is not None:
                methods[RIDGE] = ridge(series, ends, self.calibration.ridge, scale)
            else:
                made.append(f"no {RIDGE}: the run has not kept its linear model, and {GONE}")
            made += unknown(season[0], beyond, methods)
            made.append("coverage is the share of what came within the bounds")
            judged = errors(targets, beyond, methods)
            if lost := unbeaten(targets, beyond, methods):
                made.append(f"this run does not beat {'; '.join(lost)} (by RMSE)")
        forecast = rnnkit.Forecast(
            index=index,
            targets=tuple(targets),
            values=values,
            lower=lower,
            upper=upper,
            actual=beyond,
            interval=interval,
            resolution=(FINER * scale.scale).tolist(),
            errors=judged,
            notes=tuple(made),
        )
        return replace(forecast, notes=(*forecast.notes, *_misses(forecast)))

    def _bounds(self, values: Numbers, interval: float) -> tuple[Numbers, Numbers, str]:
        """Return the bounds of the interval (M, K) around forecasts, and how they are made."""
        residuals = self.calibration.residuals
        if residuals is None:
            nothing = np.full_like(values, np.nan)
            return nothing, nothing, f"no interval: the run has not kept its residuals, and {GONE}"
        lower, upper = (end * self.learnt.targets.scale for end in residuals.bounds(interval))
        tail = (1 - interval) / 2
        how = (
            f"bounds: forecast plus the {100 * tail:.4g} % and {100 * (1 - tail):.4g} % quantiles of the errors on the "
            f"{residuals.total} row(s) that validated the run"
        )
        if not residuals.suffice(interval):
            how += f"; so few rows bound less than {100 * interval:.4g} %: these are the least and the greatest error"
        beside = [
            quoted(name)
            for name, low, high in zip(self.learnt.roles.targets, lower, upper, strict=True)
            if low * high > 0
        ]
        if beside:
            names = ", ".join(beside)
            how += f"; of {names} nearly all of these errors had one sign, so the forecast lies beside its bounds"
        return values + lower, values + upper, how

    def _check_columns(self, table: Table, own: bool) -> None:
        """Raise DataError if the table lacks what the model reads; its own must have all that the run learnt from."""
        wanted = [*self.learnt.roles.inputs, *(self.learnt.roles.targets if own else [])]
        for name in wanted:
            if name not in table.columns:
                has = ", ".join([*table.columns][:SHOWN]) + (", ..." if len(table.columns) > SHOWN else "")
                raise DataError(
                    f"{table.source} has no column {name!r}{nearest(name, table.columns)}, which the run reads; it has "
                    f"{has}{table.cut()}"
                )

    def _actual(self, table: Table, count: int, notes: list[str]) -> Numbers:
        """Return what came (N, K), NaN where the table does not say."""
        columns = []
        for name in self.learnt.roles.targets:
            column = table.columns.get(name)
            if column is None:
                notes.append(f"{table.source} has no column {name!r}, so its forecasts are not held against the truth")
                columns.append(np.full(count, np.nan))
                continue
            if not all(map(is_missing, column.odd_cells)):
                raise table.fault(name, leave=False)
            if column.odd_cells:
                notes.append(f"{len(column.odd_cells)} row(s) of {name!r} are empty, and not held against a forecast")
            columns.append(column.numbers[:count])
        return np.stack(columns, axis=1)


def _misses(forecast: rnnkit.Forecast) -> list[str]:
    """Say where the interval holds far less of what came, or far more, than it is made to."""
    judged = np.isfinite(forecast.actual).sum(0)
    return [
        f"the bounds of {quoted(target)} hold {share:.0%} of what came, not {forecast.interval:.4g}: these rows are "
        "unlike those that validated the run"
        for target, share, rows in zip(forecast.targets, forecast.coverage.tolist(), judged.tolist(), strict=True)
        if rows >= ENOUGH and abs(share - forecast.interval) > FAR
    ]


def check_interval(interval: float) -> None:
    """Raise UsageError unless `interval` is a share above 0 and below 1."""
    if isinstance(interval, bool) or not isinstance(interval, int | float) or not 0 < interval < 1:
        raise UsageError(f"interval is {interval!r}; it must be a share above 0 and below 1, such as 0.9")
