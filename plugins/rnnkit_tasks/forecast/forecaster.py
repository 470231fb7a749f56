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
from rnnkit.errors import UsageError, check_whole
from rnnkit_tasks.forecast.asked import ALL
from rnnkit_tasks.forecast.bounds import GONE, Bounds
from rnnkit_tasks.forecast.calibration import Calibration, level_of, medians, quantiles
from rnnkit_tasks.forecast.clock import Clock
from rnnkit_tasks.forecast.frame import Frame
from rnnkit_tasks.forecast.gaps import forward
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.forecast.origins import ORIGINS, Origins, origin_in, origins_of
from rnnkit_tasks.forecast.outliers import outliers
from rnnkit_tasks.forecast.outputs import outputs
from rnnkit_tasks.forecast.reread import read_again
from rnnkit_tasks.forecast.rivals import OURS, RIDGE, Asked, errors, ridge, rivals, season_of, unbeaten, unknown
from rnnkit_tasks.forecast.roles import quoted
from rnnkit_tasks.forecast.shortfall import Shortfall
from rnnkit_tasks.forecast.standing import empty_windows, told_empty
from rnnkit_tasks.forecast.stream import Stream
from rnnkit_tasks.table.source import Reading

Numbers = NDArray[np.float64]
Rows = NDArray[np.int64]

FAR, ENOUGH = 0.1, 100
"""From the share that an interval is made to hold, and of so many rows: what is told."""

MOST = 0.5
"""Of the steps of the first window of a stream, the share by which the run's own pace is known again."""

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
        self,
        data: str | PathLike[str] | None = None,
        *,
        interval: float = 0.9,
        season: int | None = None,
        origins: str = "blocks",
    ) -> rnnkit.Forecast:
        """Forecast the rows of a table, and those after its end that its last windows reach.

        Args:
            data: a table as the run's own, whose first `window` rows are read before anything is forecast; None: the
                run's own, of which the rows kept for a test are forecast.
            interval: share of the truth that lies within the bounds.
            season: rows of a season; None: as the times suggest.
            origins: of several steps ahead, from which rows: "blocks", so that each row is forecast once; "every" row;
                or the "last" one alone.

        Raises:
            UsageError: `interval` is no share, `season` no number of rows, or `origins` none of these.
            DataError: the table is missing, too short or unfit.
        """
        check_interval(interval)
        if season is not None:
            check_whole("season", season)
        if origins not in ORIGINS:
            raise UsageError(f"origins is {origins!r}; it must be {', '.join(ORIGINS[:-1])} or {ORIGINS[-1]}")
        notes: list[str] = []
        reading, frame = read_again(self.learnt, None if data is None else Path(data), notes)
        made = origins_of(frame, self.learnt, own=data is None, asked=origins)
        lacks = Shortfall(reading.table.source, self.learnt, frame, made)
        if not len(made.ends):
            raise lacks.error()
        clocks = self._clocks(reading)
        notes += [*lacks.without(), *lacks.behind(clocks, origins)]
        index = self._index(clocks, frame, made)
        notes.insert(0, self._said(made, frame, reading, own=data is None))
        for note in (note for clock in clocks for note in clock.notes):
            if note not in notes:
                notes.append(note)
        notes += told_empty(self.learnt, frame.values, made.ends)
        season_known = season_of(season, clocks[0].pace)
        return self._forecast(frame, made, index, notes, interval, season_known)

    def follow(self, lines: Iterable[str], *, interval: float = 0.9) -> Iterator[rnnkit.Forecast]:
        """Forecast from each row as it comes, as soon as its series has `window` of them: (steps, K) a time.

        Rows of a run with `every` are gathered into even steps, and it is forecast from a step once it is over. Rows
        that hold nothing but what is known ahead are those to come; it is forecast from a row once it is known of all
        `horizon` rows after it.

        Args:
            lines: of a table as the run's own, the names first where it has names.
            interval: share of the truth that lies within the bounds.

        Raises:
            UsageError: `interval` is no share.
            DataError: a line is unfit, or there are fewer rows than a window has.
        """
        check_interval(interval)
        learnt, clocks = self.learnt, dict[str, Clock]()
        for window in Stream(lines, learnt).windows():
            reading, end = window.reading, window.lead + learnt.window - 1
            frame = learnt.frame(reading, [end + 1], leave=False, place=window.place)
            frame = frame._replace(values=np.full_like(frame.values, np.nan))
            before = clocks.get(window.series)
            if before is None:
                like = next(iter(clocks.values()), None)
                clock = Clock(window.timed, window.time, learnt.roles.time, self.calibration.pace, MOST, like)
            else:
                clock = before.going_on(window.timed, window.time, window.before)
            clocks[window.series] = clock
            made = origin_in(end, learnt)
            index = self._index([clock], frame, made, window.lead)
            notes = [*clock.notes, *outliers(learnt, reading, frame, [end if window.before else 0])]
            if window.series and window.series not in learnt.inputs.of:
                notes.append(f"series {window.series!r} is none that the run has seen; the scale of all is used")
            notes += [empty_windows(learnt, name, len(made.ends)) for name in window.empty]
            yield self._forecast(frame, made, index, notes, interval, None)

    def _clocks(self, reading: Reading) -> list[Clock]:
        """Return what names the rows of each series."""
        parts = map(reading.taken, ([one] for one in reading.series))
        return [Clock(part.table, part.time, self.learnt.roles.time, self.calibration.pace) for part in parts]

    def _index(self, clocks: Sequence[Clock], frame: Frame, made: Origins, lead: int = 0) -> dict[str, list[str]]:
        """Return what the rows that are forecast are called; the first `lead` rows of a series have no names."""
        called: dict[str, list[str]] = {}
        for at, (clock, one) in enumerate(zip(clocks, frame.series, strict=True)):
            mine = made.series == at
            if not mine.any():
                continue
            rows = (made.ends + made.steps)[mine] - one.rows.start - lead
            first = int(rows.min())
            names = clock.index(range(first, int(rows.max()) + 1))
            for name in names:
                called.setdefault(name, [""] * int((made.series < at).sum()))
                called[name] += [names[name][row - first] for row in rows.tolist()]
            for name in called.keys() - names.keys():
                called[name] += [""] * len(rows)
        if self.learnt.source.key is not None:
            called = {self.learnt.source.key: [frame.series[at].name for at in made.series.tolist()], **called}
        if self.learnt.steps == ALL and self.learnt.horizon > 1:
            called[rnnkit.Forecast.step_column] = [str(step) for step in made.steps.tolist()]
        return called

    def _said(self, made: Origins, frame: Frame, reading: Reading, own: bool) -> str:
        """Say how many forecasts there are, and of what."""
        stops = np.array(frame.stops)[made.series]
        late = int((made.ends + made.steps >= stops).sum())
        what = "the rows kept for a test" if own else f"{reading.table.source}"
        steps = "" if self.learnt.steps != ALL or self.learnt.horizon == 1 else "1 to "
        return (
            f"{len(made.ends)} forecast(s), {steps}{self.learnt.horizon} row(s) ahead: {len(made.ends) - late} in "
            f"{what}, {late} beyond the last row"
        )

    def _forecast(
        self,
        frame: Frame,
        made: Origins,
        index: Mapping[str, Sequence[str]],
        notes: Sequence[str],
        interval: float,
        season: tuple[int | None, str] | None,
    ) -> rnnkit.Forecast:
        """Forecast rows (M,) from windows, and hold them against the truth, where that is known."""
        learnt, targets = self.learnt, self.learnt.roles.targets
        ends, which = np.unique(made.ends, return_inverse=True)
        said = outputs(self.model, frame.windows, ends)
        place = made.steps - 1 if learnt.steps == ALL else np.zeros_like(made.steps)
        rows = made.ends + made.steps
        mean, scale = learnt.targets.rows(frame.series, made.ends)
        level = level_of(learnt, frame, made.ends)[:, 0]
        values = (medians(said, learnt)[which, place] + level) * scale + mean
        bounds = Bounds(learnt, self.calibration.residuals, interval)
        lower, upper = bounds.around(
            values, quantiles(said, learnt)[which, place] + level[..., None], place, mean, scale
        )
        beyond = np.full(values.shape, np.nan)
        known = rows < np.array([one.rows.stop for one in frame.series])[made.series]
        beyond[known] = frame.values[rows[known]]
        told = [*notes, *bounds.notes]
        judged: tuple[rnnkit.ForecastError, ...] = ()
        if season is not None and np.isfinite(beyond).any():
            begins = np.array([one.rows.start for one in frame.series])[made.series]
            last = forward(frame.values, frame.series, before=np.nan)
            asked = Asked(made.ends, made.steps, begins, last)
            padded = np.concatenate([frame.values, np.full((learnt.horizon, len(targets)), np.nan)])
            methods = {OURS: values, **rivals(padded, asked, season[0])}
            told.append(season[1])
            if self.calibration.ridge is not None:
                linear = ridge(frame.windows, asked, self.calibration.ridge, len(targets))
                methods[RIDGE] = linear[np.arange(len(place)), place] * scale + mean
            else:
                told.append(f"no {RIDGE}: the run has not kept its linear model, and {GONE}")
            told += unknown(season[0], beyond, methods)
            told.append("coverage is the share of what came within the bounds")
            judged = self._judged(beyond, methods, made.steps, by_step=rnnkit.Forecast.step_column in index)
            if lost := unbeaten(targets, beyond, methods):
                told.append(f"this run does not beat {'; '.join(lost)} (by RMSE)")
        forecast = rnnkit.Forecast(
            index=index,
            targets=tuple(targets),
            values=values,
            lower=lower,
            upper=upper,
            actual=beyond,
            interval=interval,
            resolution=FINER * scale,
            errors=judged,
            notes=tuple(told),
            key=learnt.source.key or "",
        )
        return replace(forecast, notes=(*forecast.notes, *_misses(forecast, bounds.of)))

    def _judged(
        self, actual: Numbers, methods: Mapping[str, Numbers], steps: Rows, by_step: bool
    ) -> tuple[rnnkit.ForecastError, ...]:
        """Return the errors of all steps together, and of each."""
        targets = self.learnt.roles.targets
        judged = errors(targets, actual, methods)
        for step in np.unique(steps).tolist() if by_step else ():
            mine = steps == step
            judged += errors(targets, actual[mine], {name: values[mine] for name, values in methods.items()}, step)
        return judged


def _misses(forecast: rnnkit.Forecast, of: str) -> list[str]:
    """Say where the interval holds far less of what came, or far more, than it is made to."""
    judged = np.isfinite(forecast.actual).sum(0)
    return [
        f"the bounds of {quoted(target)} hold {share:.0%} of what came, not {forecast.interval:.4g}: these rows are "
        f"unlike those that {of} the run"
        for target, share, rows in zip(forecast.targets, forecast.coverage.tolist(), judged.tolist(), strict=True)
        if rows >= ENOUGH and abs(share - forecast.interval) > FAR
    ]


def check_interval(interval: float) -> None:
    """Raise UsageError unless `interval` is a share above 0 and below 1."""
    if isinstance(interval, bool) or not isinstance(interval, int | float) or not 0 < interval < 1:
        raise UsageError(f"interval is {interval!r}; it must be a share above 0 and below 1, such as 0.9")
