"""A series whose best forecast is known, tables of it, and a model that knows it."""

from datetime import datetime, timedelta

import numpy as np
import torch
from torch import nn

import rnnkit

KEEPS = 0.8
"""Of its last value, what an AR series has left after a row, beside its noise."""


class Knows(nn.Module):
    """Forecasts x(t+h) = 50 + keeps^h (x(t) - 50) of normalised windows, exactly; of the first column alone."""

    def __init__(self, task):
        super().__init__()
        self.scale, self.mean = task.scale[:1].double(), task.mean[:1].double()
        self.factor = nn.Parameter(torch.tensor(KEEPS**task.horizon, dtype=torch.float64))
        self.columns = task.output_size

    def forward(self, xs, state=None, *, lengths=None):
        last = xs[..., :1].double() * self.scale + self.mean
        said = (50 + self.factor * (last - 50) - self.mean) / self.scale
        return said.expand(-1, -1, self.columns), None


def series(rows, noise=1.0, seed=0):
    """Return an AR series around 50."""
    draw, values = np.random.default_rng(seed), [0.0]
    for _ in range(rows - 1):
        values.append(KEEPS * values[-1] + noise * draw.normal())
    return 50 + np.array(values)


def write(path, values, begin=0, head="time,a,b", row="{time},{value!r},{other}"):
    """Write a table with a row an hour."""
    lines = [head]
    for at, value in enumerate(values.tolist(), start=begin):
        time = datetime(2024, 2, 28) + timedelta(hours=at)
        lines.append(row.format(time=time, value=value, other=at % 7))
    path.write_text("\n".join(lines) + "\n")
    return path


def task_of(file, **options):
    return rnnkit.tasks["csv"](
        **{"file": str(file), "target": "a", "window": 5, "horizon": 3, "steps": "last", "calendar": "none", **options}
    )


def predictor_of(task, calibration=None):
    model = Knows(task).eval()
    return task.predictor(model, task.calibration(model) if calibration is None else calibration)
