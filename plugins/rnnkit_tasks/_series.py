"""Forecasting of a series that equations give: windows of it, a figure in deviations, and simple forecasts beside it.

The first 8000 rows train, the 2000 after them validate. The first `warm_up` steps of a window have no target
(infinity), so that a model may find its way into the series first; windows of the validation overlap by as much, so
that all held-out rows but the first and last few are forecast once.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import rnnkit
from rnnkit import Batch
from rnnkit.errors import UsageError, check_whole
from rnnkit_tasks.forecast.linear import Ridge

TRAIN, HELD_OUT = 8000, 2000
LONGEST = HELD_OUT // 2
"""Steps of a window and its horizon."""


class Forecast(rnnkit.Task):
    """Rows of a series `horizon` steps ahead, after each step of a window; a subclass gives the series."""

    metric_name = "NRMSE"

    def _set_window(self, seq_len: int, horizon: int, warm_up: int | None) -> None:
        """Check and take the steps T of a window, those to what is forecast, and those before the first forecast.

        None for the last: half of the window.
        """
        check_whole(f"task {self.name!r}: seq_len", seq_len)
        check_whole(f"task {self.name!r}: horizon", horizon)
        warm_up = seq_len // 2 if warm_up is None else warm_up
        check_whole(f"task {self.name!r}: warm_up", warm_up, least=0)
        if warm_up >= seq_len:
            raise UsageError(
                f"task {self.name!r}: warm_up is {warm_up}; it must be less than seq_len, which is {seq_len}"
            )
        if seq_len + horizon > LONGEST:
            raise UsageError(
                f"task {self.name!r}: seq_len is {seq_len} and horizon {horizon}; their sum must be {LONGEST} or less"
            )
        self.seq_len, self.horizon, self.warm_up = seq_len, horizon, warm_up

    def _set_series(self, rows: NDArray[np.float64]) -> None:
        """Take the rows (10000, C), less the mean of those that train and over their deviation."""
        self.mean, self.scale = rows[:TRAIN].mean(0), rows[:TRAIN].std(0)
        self.series = torch.from_numpy((rows - self.mean) / self.scale).to(torch.get_default_dtype())
        self.input_size = self.output_size = self.series.shape[1]

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` windows that train: xs (T, B, C), targets (T, B, C), infinite where there is none."""
        last = TRAIN - self.seq_len - self.horizon
        return self._windows(torch.randint(last + 1, (size,), generator=generator))

    def validation(self) -> Iterator[Batch]:
        """Yield windows of the held-out rows, one after another, in one batch."""
        yield self._windows(torch.tensor(self._held_out))

    @property
    def _held_out(self) -> range:
        """Where windows of the validation start."""
        return range(TRAIN, TRAIN + HELD_OUT - self.seq_len - self.horizon + 1, self.seq_len - self.warm_up)

    def _windows(self, starts: Tensor) -> Batch:
        rows = starts + torch.arange(self.seq_len).unsqueeze(1)
        targets = self.series[rows + self.horizon]
        targets[: self.warm_up] = torch.inf
        return Batch(self.series[rows], targets)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error of the targets that are there, in squared deviations of the rows that train."""
        known = targets.isfinite()
        errors = outputs - targets.to(outputs).where(known, outputs.detach())
        return errors.square().sum() / known.sum().clamp(min=1)

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the root of the mean squared error, in deviations of the rows that train: that of the mean is 1."""
        return self.metric_by_loss(self.loss(outputs, targets))

    def metric_by_loss(self, loss: Tensor) -> Tensor:
        """Return the root."""
        return loss.sqrt()

    def baselines(self) -> dict[str, float]:
        """The errors of the last row read, of the mean, and of ridge regression on the last `warm_up` + 1 rows."""
        starts, ahead = self._held_out, self.warm_up + self.horizon
        rows = range(starts.start + ahead, starts[-1] + self.seq_len + self.horizon)
        series = self.series.double()
        judged = series[rows.start : rows.stop]
        last = series[rows.start - self.horizon : rows.stop - self.horizon]
        linear = Ridge(series, series, self.warm_up + 1, self.horizon).error(range(ahead, TRAIN), rows)
        return {
            "last value": float((judged - last).square().mean().sqrt()),
            "mean": float(judged.square().mean().sqrt()),
            "linear model": linear**0.5,
        }
