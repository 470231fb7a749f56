"""Tables of several shops, and a model that repeats the last value: what tests of series and streams share."""

from datetime import datetime, timedelta

import numpy as np
import torch
from torch import nn

import rnnkit


def Csv(**options):  # noqa: N802
    """Build the task with forecasts that are what they are, not changes from the last value."""
    return rnnkit.tasks["csv"](**{"level": "mean", **options})


BEGIN = datetime(2024, 1, 1)


class Repeats(nn.Module):
    """Forecasts the last value of the first column for every step."""

    def __init__(self, task):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(task.output_size, dtype=torch.float64))

    def forward(self, xs, state=None, *, lengths=None):
        return self.factor * xs[..., :1].double(), None


def predictor_of(task):
    model = Repeats(task).eval()
    return task.predictor(model, task.calibration(model))


def shops(sizes, levels, seed=0):
    """Return lines of a table of shops, day by day, and the values of each."""
    draw = np.random.default_rng(seed)
    values = {name: level + draw.normal(size=size) for (name, size), level in zip(sizes.items(), levels, strict=True)}
    lines = [
        (day, name, f"{BEGIN + timedelta(days=day):%Y-%m-%d},{name},{sold!r},{len(name)}")
        for name, series in values.items()
        for day, sold in enumerate(series.tolist())
    ]
    return [line for *_, line in sorted(lines)], values


def task_of(path, **options):
    return Csv(**{"file": str(path), "key": "shop", "target": "sold", "window": 6, "horizon": 2, **options})


def ahead(path, later, key=False):
    """Write 100 rows that know all, and rows below them of which `later` says what is known of the feast."""
    rows = [f"{BEGIN + timedelta(days=at):%Y-%m-%d},{at % 5},{int(at % 7 == 0)}" for at in range(100)]
    rows += [f"{BEGIN + timedelta(days=at):%Y-%m-%d},,{known}" for at, known in enumerate(later, start=100)]
    shops = ("north", "south") if key else ("",)
    path.write_text("\n".join(["day,a,feast,shop", *(f"{row},{shop}" for row in rows for shop in shops)]))
    return path
