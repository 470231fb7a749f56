"""Forecasting over a table of your own: from `window` rows of numbers, what comes `horizon` rows later.

The file is delimiter-separated text in UTF-8, a row a time step; blank lines, and those that begin with #, are passed
over. What each column is for is said in one line as a run begins, and kept with the run:

- `inputs`: every column of numbers, or those that `columns` names. A finite number must stand in every row. Where most
  cells of a column look like numbers and are written otherwise (20,84; $5; 12 %), or some are missing, that is an
  error; `leave_out` names columns that are not wanted.
- `targets`: the inputs, but for those that are constant, count rows or years, or are ids or parts of a date; or those
  that `target` names.
- `time`: a column of dates, or of times in numbers, or of years. The oldest row comes first; a file that has the newest
  row first, by its times or by what counts its rows, or has dates that cannot be read, is refused: `order=newest-first`
  turns it round, `order=oldest-first` takes it as it stands.
- `left out`: text, yes/no, empty columns, and those that nobody asked for.

The first line holds names if it has words above numbers, or anything but a date above dates; `header=yes` or
`header=no` decides, and must where it may be either. Without names, columns are called "1", "2", ...

The first 70 % of the rows train, the next 15 % validate, the last 15 % are left for a test; a row belongs where it is
forecast, so its window may begin in the part before. Columns are brought to mean 0 and deviation 1 as measured over the
training part (one that is constant there, to mean 0). A run keeps columns, scale and the number of rows, so that its
model is exported and judged as it was trained, whatever the file is now.

Without a file: 4,000 hours of an imagined house, made from a fixed seed. Its `temperature` outdoors goes with the day
and with a slow weather; its `load` grows with the distance from 18 degrees, and by office hours on working days.

Metric: mean squared error of the normalised targets; predicting the mean gives about 1. Compared with the last value
seen, the mean of the training part, and a linear model of the window (ridge regression, the best of five penalties).
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import Batch
from rnnkit.errors import DataError, check_whole, nearest
from rnnkit_tasks.forecast.calibration import Calibration
from rnnkit_tasks.forecast.forecaster import TableForecaster
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.forecast.linear import Ridge
from rnnkit_tasks.forecast.options import delimiter_of, header_of, names_of, order_of
from rnnkit_tasks.forecast.pace import Pace
from rnnkit_tasks.forecast.roles import Roles, roles
from rnnkit_tasks.forecast.scaling import Scale
from rnnkit_tasks.forecast.units import units_of
from rnnkit_tasks.table.source import Source, check_rows
from rnnkit_tasks.table.table import Table

FORECAST_TOGETHER = 256

log = logging.getLogger("rnnkit.tasks")


class CsvForecast(rnnkit.Task):
    """What comes `horizon` rows after `window` rows of numbers, in a table `file` (default: the load of a house).

    Args:
        file: table to learn; None: the load of an imagined house.
        columns: names of the inputs; None: every column of numbers.
        target: names of what is forecast; None: the inputs, but for those that are constant or count.
        leave_out: names of columns that are not wanted.
        window: rows that a forecast is made from.
        horizon: rows from the last one that is read to what is forecast.
        delimiter: what stands between cells; None: found out.
        header: yes or no: whether the first line holds names; None: found out.
        order: oldest-first or newest-first: which row comes first; None: found out, and oldest first.
    """

    name = "csv"
    metric_name = "normalised MSE"
    files = ("file",)
    every_step = False
    defaults = MappingProxyType({"steps": 2000, "batch": 32, "lr": 1e-3, "hidden": 64})

    columns: list[str]
    """Names of the inputs, C of them."""

    targets: list[str]
    """Names of what is forecast, K of them."""

    mean: Tensor
    """(K,) of the targets over the training part."""

    scale: Tensor
    """(K,) their deviation there: an output times `scale` plus `mean` is in the table's own unit."""

    def __init__(
        self,
        *,
        file: str | None = None,
        columns: str | Sequence[str] | None = None,
        target: str | Sequence[str] | None = None,
        leave_out: str | Sequence[str] | None = None,
        window: int = 64,
        horizon: int = 1,
        delimiter: str | None = None,
        header: str | bool | None = None,
        order: str | None = None,
    ) -> None:
        path = None if file is None else Path(str(file))
        source = Source(path, delimiter_of(delimiter), header_of(header), order_of(order))
        self._set_window(window, horizon)
        # Names can be read where the table is known, for one may have a comma; what they name may be no time.
        out = names_of("leave_out", leave_out, ())
        table, time, whys = source.read(out)
        given = {"columns": columns, "target": target, "leave_out": leave_out}
        asked = {option: names_of(option, value, table.columns) for option, value in given.items()}
        for name in [name for names in asked.values() for name in names]:
            table.column(name)  # that it is there is asked first
        first = table.rows * 70 // 100
        self._take(source.as_read(table), table.rows)
        if not self.train or not self.held_out:
            raise DataError(
                f"{table.source} has too few rows, {table.rows}: 70 % of them must be at least "
                f"window + horizon = {window + horizon}, and 15 % at least 1"
            )
        made = roles(table, time, whys, asked, first)
        inputs = Scale.measured(table.source, made.inputs, table.numbers(made.inputs), first)
        targets = (
            inputs
            if made.targets == made.inputs
            else Scale.measured(table.source, made.targets, table.numbers(made.targets), first)
        )
        self._set_roles(made, inputs, targets)
        self._parts = self._scaled(table)
        self._pace = None if time is None else Pace.found(time.seconds)
        log.info("%s: %s", table.source, made)

    def _set_window(self, window: int, horizon: int) -> None:
        check_whole("task 'csv': window", window)
        check_whole("task 'csv': horizon", horizon)
        self.window, self.horizon = window, horizon
        self._offsets = torch.arange(window) + (1 - horizon - window)

    def _take(self, source: Source, rows: int) -> None:
        """Set where the rows come from, and which of them are for what."""
        self._source, self._rows = source, rows
        first, second = rows * 70 // 100, rows * 85 // 100
        self.train, self.held_out = range(self.window + self.horizon - 1, first), range(first, second)
        self.test_part = range(second, rows)

    def _set_roles(self, made: Roles, inputs: Scale, targets: Scale) -> None:
        """Set what the columns are for, and their scales."""
        self._roles, self._scales = made, (inputs, targets)
        self.columns, self.targets = made.inputs, made.targets
        self.input_size, self.output_size = len(self.columns), len(self.targets)
        self.mean, self.scale = _tensor(targets.mean), _tensor(targets.scale)

    def data_state(self) -> dict[str, Any]:
        """Return how the file was read, what each column is for, the scales, and the number of rows."""
        inputs, targets = self._scales
        return {
            "reading": self._source.to_json(),
            "rows": self._rows,
            "roles": asdict(self._roles),
            "inputs": inputs.to_json(),
            "targets": targets.to_json(),
        }

    @classmethod
    def from_data_state(cls, state: Mapping[str, Any], **options: Any) -> Self:
        """Build the task with the columns and scales of a run; the file is read when batches are asked for.

        Raises:
            LookupError, TypeError, ValueError: `state` is not what `data_state` returns.
        """
        task = cls.__new__(cls)
        task._set_window(options.get("window", 64), options.get("horizon", 1))
        file, made = options.get("file"), Roles(**state["roles"])
        if type(state["rows"]) is not int or state["rows"] < 1 or not made.inputs or not made.targets:
            raise ValueError("it has no rows, inputs or targets")
        task._take(Source.from_json(None if file is None else Path(str(file)), state["reading"]), state["rows"])
        scales = (Scale.from_json(state[key], len(getattr(made, key))) for key in ("inputs", "targets"))
        task._set_roles(made, *scales)
        return task

    def data_summary(self) -> str:
        """Return what each column is for, and why."""
        return str(self._roles)

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor]:
        """The inputs (N, C) and the targets (N, K) of a run, read again and brought to its scale."""
        table, time, _ = self._source.read()
        for name in (*self.columns, *self.targets):
            if name not in table.columns:
                raise DataError(
                    f"{table.source} has no column {name!r}{nearest(name, table.columns)}, which the run learnt from; "
                    f"give back that table, or the column its name{table.cut()}"
                )
        more = check_rows(table, self._rows)
        if more:
            log.warning("%s has %d row(s) more than when the run was made; they are left out", table.source, more)
        self._pace = None if time is None else Pace.found(time.head(self._rows).seconds)
        return self._scaled(table)

    def _scaled(self, table: Table) -> tuple[Tensor, Tensor]:
        def part(scale: Scale, names: list[str]) -> Tensor:
            return _tensor(scale.apply(table.source, names, table.numbers(names)[: self._rows]))

        inputs = part(self._scales[0], self.columns)
        return inputs, inputs if self.targets == self.columns else part(self._scales[1], self.targets)

    @property
    def series(self) -> Tensor:
        """(N, C) of the inputs, normalised."""
        return self._parts[0]

    @property
    def values(self) -> Tensor:
        """(N, K) of the targets, normalised."""
        return self._parts[1]

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` windows of the training part, anywhere: xs (T, B, C), targets (B, K)."""
        return self._windows(torch.randint(self.train.start, self.train.stop, (size,), generator=generator))

    def fingerprint(self) -> str:
        """Return the sha256 of all numbers, normalised."""
        digest = hashlib.sha256(self.series.numpy().tobytes())
        digest.update(self.values.numpy().tobytes())
        return digest.hexdigest()

    def validation(self) -> Iterator[Batch]:
        """Forecast every held-out row once."""
        return self._forecasts(self.held_out)

    def test(self) -> Iterator[Batch]:
        """Forecast every row kept for a test once."""
        return self._forecasts(self.test_part)

    def _forecasts(self, rows: range) -> Iterator[Batch]:
        for at in range(rows.start, rows.stop, FORECAST_TOGETHER):
            yield self._windows(torch.arange(at, min(at + FORECAST_TOGETHER, rows.stop)))

    def _windows(self, rows: Tensor) -> Batch:
        """Return the targets in these rows (B,), and the windows that they are forecast from."""
        return Batch(self.series[rows + self._offsets.unsqueeze(1)], self.values[rows])

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error of the last output (B, K), normalised."""
        return F.mse_loss(outputs, targets.to(outputs))

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error, as the loss."""
        return self.loss(outputs, targets)

    def baselines(self) -> dict[str, float]:
        """The errors of the last value seen, of the mean, and of a linear model of the window."""
        return dict(self._errors)

    @cached_property
    def _errors(self) -> dict[str, float]:
        rows = torch.arange(self.held_out.start, self.held_out.stop)
        values = self.values.double()
        return {
            "last value": float((values[rows] - values[rows - self.horizon]).square().mean()),
            "mean": float(values[rows].square().mean()),
            "linear model": self._linear[1],
        }

    @cached_property
    def _linear(self) -> tuple[Tensor, float]:
        """The weights of the linear model, and its error."""
        return Ridge(self.series, self.values, self.window, self.horizon).best(self.train, self.held_out)

    def calibration(self, model: nn.Module) -> dict[str, Any]:
        """Return the residuals of the rows that validate, the linear model, and the pace of the rows."""
        found = Calibration.measured(model, self.series, self.values, self.held_out, self._learnt)
        return replace(found, ridge=self._linear[0].numpy(), pace=self._pace).to_json()

    def predictor(self, model: nn.Module, calibration: Mapping[str, Any]) -> TableForecaster:
        """Return what forecasts this table, or another one, in its own dates and units."""
        return TableForecaster(model, self._learnt, calibration)

    def units(self) -> rnnkit.Units:
        """Return what scales the columns as the run does, and brings a forecast into the table's own units."""
        return units_of(self.columns, self._scales[0], self.targets, self._scales[1])

    @property
    def _learnt(self) -> Learnt:
        parts = (self._source, self._rows, self.test_part, self._roles, *self._scales, self.window, self.horizon)
        return Learnt(*parts)


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values).to(torch.get_default_dtype())


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer forecasting over a table."""
    return [CsvForecast]
