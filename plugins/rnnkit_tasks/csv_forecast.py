"""Forecasting over a table of your own: from `window` rows, what comes in the `horizon` rows after them.

The file is delimiter-separated text in UTF-8, a row a time step, or Parquet (extra `parquet`); blank lines, and those
that begin with #, are passed over. What each column is for is said in one line as a run begins, and kept with the run:

- `inputs`: columns of numbers, of yes and no (1 and 0), and of categories: words of which at most 20 occur, each five
  times or more on average, each an input that is 1 where its word stands. Or those that `columns` names. Numbers may
  have decimal commas or marks between thousands, where the table tells (or `decimal`). Where most cells of a column
  look like numbers and are written otherwise ($5; 12 %), that is an error; `leave_out` names columns to pass over.
  Those that `known` names are known ahead, such as holidays: the model reads them of the next `horizon` rows, too.
- `targets`: the inputs that are numbers, but for those that are constant, count rows or years, or are ids or parts of a
  date; or those that `target` names.
- `time`: a column of dates, or of times in numbers, or of years. The oldest row comes first; a file that has the newest
  row first, by its times or by what counts its rows, or a date that cannot be read (`Total`), is refused:
  `order=newest-first` turns it round, `order=oldest-first` takes it as it stands, like one whose times go back, or
  repeat as those of several series do, so that its parts would overlap. Where days and months could change places,
  dates are read so that the steps are the more even, which is said, or as `dates` says. `zone` names the zone of local
  times, or the clock that times with offsets are shown on, `every` brings rows to an even step. The hour of the day,
  the day of the week and the time of the year are inputs where the rows that train go through each at least twice
  (`calendar=none`: never).
- `key`: the column that tells several series apart, by any name (NA is one) but an empty one; each has its own scale
  and its own parts, and columns that never change within any of them tell them apart.
- `left out`: other text, empty columns, and those that nobody asked for.

A number that is missing is an error, unless `missing` says what stands for it: `forward` the last one that was there
(before the first one, the mean), `interpolate` a line between its neighbours (the last one where a window ends within
the gap, for nothing is learnt from what lies ahead), `mask` the mean, and an input that says so. It is never a target.
The first line holds names if it has words above numbers, or anything but a date above dates; `header` decides, and must
where it may be either. Without names, columns are called "1", "2", ...

The first 70 % of the rows train, the next 15 % validate, the last 15 % are left for a test, or as `split` says; a row
belongs where it is forecast, so its window may begin in the part before. Numbers are brought to mean 0 and deviation 1
of the training part. A run keeps columns, scale and the number of rows, so that its model is exported and judged as it
was trained, whatever the file is now. All rows up to the horizon are forecast at once, or the last one alone
(`steps=last`), as changes from the last value where that is nearer, in the rows that train, than the mean (`level`).
With `quantiles` the loss is that of Koenker & Bassett (1978), and the forecast is the median.

Without a file: 4,000 hours of an imagined house, from a fixed seed. Its `temperature` outdoors goes with the day and a
slow weather; its `load` grows with the distance from 18 degrees, and by office hours on working days.

Metric: mean squared error of the normalised targets; predicting the mean gives about 1. Compared with the last value
seen, the mean of the training part, and a linear model of the window (ridge regression, the best of five penalties).
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import Batch
from rnnkit_tasks.forecast.asked import Asked
from rnnkit_tasks.forecast.calibration import Calibration
from rnnkit_tasks.forecast.forecaster import TableForecaster
from rnnkit_tasks.forecast.frame import Frame, check_columns, known_stops, restricted
from rnnkit_tasks.forecast.gaps import forward
from rnnkit_tasks.forecast.learning import learn
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.forecast.linear import Ridge
from rnnkit_tasks.forecast.pace import pace_of
from rnnkit_tasks.forecast.parts import drawn, listed
from rnnkit_tasks.forecast.pinball import medians, pinball, squared
from rnnkit_tasks.forecast.units import units_of
from rnnkit_tasks.forecast.windows import tensor

FORECAST_TOGETHER = 256

log = logging.getLogger("rnnkit.tasks")


class CsvForecast(rnnkit.Task):
    """What comes in the `horizon` rows after `window` rows of a table `file` (default: the load of a house).

    Args:
        file: table to learn; None: the load of an imagined house.
        columns: names of the inputs; None: every column of numbers, yes and no, or categories.
        target: names of what is forecast; None: the inputs that are numbers, but for those that are constant or count.
        known: names of inputs that are known ahead, such as holidays.
        leave_out: names of columns that are not wanted.
        key: name of the column that tells several series apart.
        window: rows that a forecast is made from.
        horizon: rows from the last one that is read to the last one that is forecast.
        steps: all or last: whether every row up to the horizon is forecast, or that one alone.
        quantiles: shares of the truth below each of several forecasts, such as 0.05,0.5,0.95; None: their mean.
        level: last, mean, or auto for the nearer one: what forecasts are told to the model as changes from.
        missing: error, forward, interpolate or mask: what stands for a number that is missing.
        every: even step in time that rows are brought to, such as 15min, 1h, day or month; None: as they stand.
        calendar: parts of the date that are inputs, of hour, weekday and year; none; or auto: those of use.
        zone: time zone whose local times the dates are, or are shown as; None: clocks do not change.
        split: percentages of the rows that train, validate and test, or the two dates on which the latter two begin.
        delimiter: what stands between cells; None: found out.
        decimal: what decimals begin with, a comma or a point, thousands having marks; None: found out.
        header: yes or no: whether the first line holds names; None: found out.
        order: oldest-first or newest-first: which row comes first; None: found out, and oldest first.
        dates: day-first or month-first: how dates such as 01/02/2024 are read; None: found out by their steps.
    """

    name = "csv"
    metric_name = "normalised MSE"
    files, unpacks = ("file",), True
    every_step = False
    defaults = MappingProxyType(
        {"steps": 2000, "batch": 32, "lr": 1e-3, "hidden": 64, "validate_every": 100, "patience": 10}
    )

    columns: list[str]
    """Names of the columns that are inputs."""

    targets: list[str]
    """Names of what is forecast, K of them."""

    mean: Tensor
    """(K,) of the targets over the training part."""

    scale: Tensor
    """(K,) their deviation there; of several series, as `mean`, that of all together."""

    def __init__(
        self,
        *,
        file: str | None = None,
        columns: str | Sequence[str] | None = None,
        target: str | Sequence[str] | None = None,
        known: str | Sequence[str] | None = None,
        leave_out: str | Sequence[str] | None = None,
        key: str | None = None,
        window: int = 64,
        horizon: int = 1,
        steps: str = "all",
        quantiles: str | Sequence[float] | None = None,
        level: str = "auto",
        missing: str = "error",
        every: str | None = None,
        calendar: str | Sequence[str] | None = None,
        zone: str | None = None,
        split: str | Sequence[float] | Sequence[str] | None = None,
        delimiter: str | None = None,
        decimal: str | None = None,
        header: str | bool | None = None,
        order: str | None = None,
        dates: str | None = None,
    ) -> None:
        options = locals()
        asked = Asked.read({name: options[name] for name in _OPTIONS})
        reading = asked.source.read(asked.leave_out)
        learnt, frame = learn(reading, asked.of(reading.table))
        self._take(learnt)
        self._frame, self._pace = frame, pace_of(reading)
        log.info("%s: %s", reading.table.source, learnt.roles)

    def _take(self, learnt: Learnt) -> None:
        """Set what was learnt of the table."""
        self._learnt, self.parts = learnt, learnt.parts
        self.window, self.horizon = learnt.window, learnt.horizon
        self.columns, self.targets = learnt.roles.inputs, learnt.roles.targets
        self.input_size = learnt.input_size
        self.output_size = learnt.span * len(self.targets) * max(1, len(learnt.quantiles))
        self.mean, self.scale = tensor(learnt.targets.whole.mean), tensor(learnt.targets.whole.scale)

    def data_state(self) -> dict[str, Any]:
        """Return how the file was read, what each column is for, the scales, and the number of rows."""
        return self._learnt.to_json()

    @classmethod
    def from_data_state(cls, state: Mapping[str, Any], **options: Any) -> Self:
        """Build the task with the columns and scales of a run; the file is read when batches are asked for.

        Raises:
            LookupError, TypeError, ValueError: `state` is not what `data_state` returns.
        """
        task = cls.__new__(cls)
        task._take(Learnt.from_json(state, options.get("file"), options.get("window", 64), options.get("horizon", 1)))
        return task

    def data_summary(self) -> str:
        """Return what each column is for, and why."""
        return str(self._learnt.roles)

    @cached_property
    def _frame(self) -> Frame:
        """The table of a run, read again and brought to its scale."""
        learnt = self._learnt
        reading = learnt.source.read(reading=learnt.reading, own=True, words=learnt.roles.kinds)
        cut = reading.table.cut()
        wanted = [*self.columns, *self.targets]
        check_columns(reading, wanted, f"which the run learnt from; give back that table, or the column its name{cut}")
        judged = [name for name in wanted if name not in learnt.roles.ahead]
        ends = known_stops(reading, judged) if learnt.ahead else [one.rows.stop for one in reading.series]
        come = sum(end - one.rows.start for end, one in zip(ends, reading.series, strict=True))
        reading, stops = restricted(reading, learnt.kept, ahead=False)
        more = come - sum(rows for _, rows in learnt.kept)
        if more > 0:
            source = reading.table.source
            log.warning("%s has %d row(s) more than when the run was made; they are left out", source, more)
        self._pace = pace_of(reading)
        return learnt.frame(reading, stops, leave=True)

    @property
    def series(self) -> Tensor:
        """(N, C) of the inputs, normalised."""
        return self._frame.windows.rows

    @property
    def values(self) -> Tensor:
        """(N, K) of the targets, normalised; NaN where one is missing."""
        return self._frame.normal

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` windows of the training part, anywhere: xs (T, B, C), targets (B, steps x K)."""
        return self._windows(drawn(self.parts.train, generator, size))

    def fingerprint(self) -> str:
        """Return the sha256 of all numbers, normalised."""
        digest = hashlib.sha256(self.series.numpy().tobytes())
        digest.update(self.values.numpy().tobytes())
        return digest.hexdigest()

    def validation(self) -> Iterator[Batch]:
        """Forecast every held-out row once."""
        return self._forecasts(self.parts.held_out)

    def test(self) -> Iterator[Batch]:
        """Forecast every row kept for a test once."""
        return self._forecasts(self.parts.test)

    def _forecasts(self, parts: Sequence[range]) -> Iterator[Batch]:
        for rows in torch.split(listed(parts), FORECAST_TOGETHER):
            if len(rows):
                yield self._windows(rows)

    def _windows(self, rows: Tensor) -> Batch:
        """Return the targets that end in these rows (B,), less their level, and the windows before them."""
        steps = torch.arange(1 - self._learnt.span, 1)
        ends, windows = rows - self.horizon, self._frame.windows
        targets = self.values[rows.unsqueeze(1) + steps] - self._learnt.levels(windows, ends)
        return Batch(windows.ending(ends), targets.flatten(1))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error of the last output (B, steps x K), normalised; with quantiles, theirs."""
        if self._learnt.quantiles:
            return pinball(outputs, targets, self._learnt.quantiles)
        return squared(outputs, targets)

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error of the forecasts."""
        return squared(medians(outputs, targets.shape[-1], self._learnt.quantiles), targets)

    def baselines(self) -> dict[str, float]:
        """The errors of the last value seen, of the mean, and of a linear model of the window."""
        return dict(self._errors)

    @cached_property
    def _errors(self) -> dict[str, float]:
        rows, learnt = listed(self.parts.held_out), self._learnt
        truth = self.values.double()[rows.unsqueeze(1) + torch.arange(1 - learnt.span, 1)]
        last = self._filled[rows - self.horizon].unsqueeze(1)
        return {
            "last value": float(squared(last.expand_as(truth), truth)),
            "mean": float(squared(torch.zeros_like(truth), truth)),
            "linear model": self._linear[1],
        }

    @cached_property
    def _filled(self) -> Tensor:
        """The targets (N, K), the last known one in place of each that is missing."""
        return torch.from_numpy(forward(self.values.double().numpy(), self._frame.series))

    @cached_property
    def _linear(self) -> tuple[Tensor, float]:
        """The weights of the linear model, and its error."""
        known, count = self._frame.windows.known, self._learnt.span
        ridge = Ridge(known, self.values, self.window, self.horizon, count, self._filled)
        return ridge.best(self.parts.train, self.parts.held_out)

    def calibration(self, model: nn.Module) -> dict[str, Any]:
        """Return the residuals of the rows that validate, the linear model, and the pace of the rows."""
        frame, weights = self._frame, self._linear[0].numpy()
        return Calibration.measured(model, frame, self._learnt, weights, self._pace).to_json()

    def predictor(self, model: nn.Module, calibration: Mapping[str, Any]) -> TableForecaster:
        """Return what forecasts this table, or another one, in its own dates and units."""
        return TableForecaster(model, self._learnt, calibration)

    def units(self) -> rnnkit.Units:
        """Return what makes inputs of the table's own numbers as the run does, and brings forecasts into its units."""
        return units_of(self._learnt)


_OPTIONS = tuple(CsvForecast.__init__.__kwdefaults__ or ())


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer forecasting over a table."""
    return [CsvForecast]
