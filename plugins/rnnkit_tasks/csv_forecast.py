"""Forecasting over a table of your own: from `window` rows of numbers, what comes `horizon` rows later.

The file is delimiter-separated text in UTF-8, a row a time step, oldest first. Its first line may name the columns;
else they are "1", "2", ... Columns without a single number, such as dates, are left out; one that is used must have a
finite number in every row. Blank lines are passed over.

The first 70 % of the rows train, the next 15 % validate, the last 15 % are left for a test; a row belongs where it is
forecast, so its window may begin in the part before. Columns are brought to mean 0 and deviation 1 as measured over the
training part (one that is constant there, to mean 0).

Without a file: 4,000 hours of an imagined house, made from a fixed seed. Its `temperature` outdoors goes with the day
and with a slow weather; its `load` grows with the distance from 18 degrees, and by office hours on working days.

Metric: mean squared error of the normalised targets; predicting the mean gives about 1. Compared with the last value
seen, the mean of the training part, and a linear model of the window (ridge regression, the best of five penalties).
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import Batch
from rnnkit.errors import DataError, KindError, UsageError, check_whole
from rnnkit_tasks._house import house
from rnnkit_tasks._linear import Ridge
from rnnkit_tasks._scaling import scaled
from rnnkit_tasks._table import Column, Table, read_table

FORECAST_TOGETHER = 256


class CsvForecast(rnnkit.Task):
    """What comes `horizon` rows after `window` rows of numbers, in a table `file` (default: the load of a house)."""

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
        window: int = 64,
        horizon: int = 1,
        delimiter: str | None = None,
    ) -> None:
        check_whole("task 'csv': window", window)
        check_whole("task 'csv': horizon", horizon)
        mark = _delimiter(delimiter)
        table = _example() if file is None else read_table(Path(str(file)), mark)
        self.columns = _names("columns", columns) or table.numeric()
        self.targets = _names("target", target) or self.columns
        self.input_size, self.output_size = len(self.columns), len(self.targets)
        self.window, self.horizon = window, horizon
        inputs, targets = table.numbers(self.columns), table.numbers(self.targets)
        first, second = len(inputs) * 70 // 100, len(inputs) * 85 // 100
        self.train, self.held_out = range(window + horizon - 1, first), range(first, second)
        self.test_part = range(second, len(inputs))
        if not self.train or not self.held_out:
            raise DataError(
                f"{table.source} has too few rows, {len(inputs)}: 70 % of them must be at least "
                f"window + horizon = {window + horizon}, and 15 % at least 1"
            )
        self.series = _tensor(scaled(table.source, self.columns, inputs, first).values)
        self.values, self.mean, self.scale = map(_tensor, scaled(table.source, self.targets, targets, first))
        self._offsets = torch.arange(window) + (1 - horizon - window)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` windows of the training part, anywhere: xs (T, B, C), targets (B, K)."""
        return self._windows(torch.randint(self.train.start, self.train.stop, (size,), generator=generator))

    def fingerprint(self) -> str:
        """Give the sha256 of all numbers, normalised."""
        found = hashlib.sha256(self.series.numpy().tobytes())
        found.update(self.values.numpy().tobytes())
        return found.hexdigest()

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
        """Give the targets in these rows (B,), and the windows that they are forecast from."""
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
            "linear model": Ridge(self.series, values, self.window, self.horizon).error(self.train, self.held_out),
        }


def _example() -> Table:
    return Table("the default series", {name: Column(numbers) for name, numbers in house().items()})


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values).to(torch.get_default_dtype())


def _names(option: str, given: object) -> list[str]:
    """Read names of columns: a text with commas, or a list; None gives none."""
    if given is None:
        return []
    listed = given.split(",") if isinstance(given, str) else given if isinstance(given, list | tuple) else [given]
    if not all(isinstance(name, str | int) and not isinstance(name, bool) for name in listed):
        raise KindError(f"task 'csv': {option} is {given!r}; it must be names of columns, such as load,temperature")
    names = [str(name).strip() for name in listed]
    if not names or not all(names) or len(set(names)) < len(names):
        raise UsageError(f"task 'csv': {option} is {given!r}; name one column or more, each once")
    return names


def _delimiter(given: object) -> str | None:
    """Read a delimiter; a shell's user writes a tab as two characters."""
    if given is None:
        return None
    mark = "\t" if given == r"\t" else given
    if not isinstance(mark, str) or len(mark) != 1 or mark in '"\r\n':
        raise UsageError(f"task 'csv': delimiter is {given!r}; it must be one character, such as ; or \\t for a tab")
    return mark


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer forecasting over a table."""
    return [CsvForecast]
