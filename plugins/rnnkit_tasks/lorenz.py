"""The Lorenz system, one step ahead: three coordinates, or some of them, on the chaotic attractor.

    x' = σ (y - x),  y' = x (ρ - z) - y,  z' = x y - β z;  σ = 10, ρ = 28, β = 8/3

by the Runge-Kutta method of order 4 at a step of 0.01; a row every 0.05, the first 1000 left out. From a window of
`seq_len` rows the next one is told, after each step but the first `warm_up`, by default half of them. The first 8000
rows train, the 2000 after them validate. With `coordinates` "xyz" a row says all that there is to know; with "x" alone
the others have to be made out from what came before.

Metric: NRMSE, the root mean squared error over the standard deviation of the rows that train. Further figure: how long
a free run, which reads its own forecasts after a window, keeps its error below 0.4 deviations, in Lyapunov times of
1/0.906; the median over the windows of the validation.

Source: Lorenz, "Deterministic Nonperiodic Flow", Journal of the Atmospheric Sciences 20, 1963. Largest Lyapunov
exponent: Sprott, "Chaos and Time-Series Analysis", Oxford 2003.
"""

from functools import cache
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import rnnkit
from rnnkit.errors import UsageError
from rnnkit_tasks._runge_kutta import Point, runge_kutta
from rnnkit_tasks._series import HELD_OUT, TRAIN, Forecast

SIGMA, RHO, BETA = 10.0, 28.0, 8 / 3
LYAPUNOV = 0.906
"""The largest Lyapunov exponent, per unit of time."""

START: Point = (1.0, 1.0, 1.0)
TRANSIENT = 1000
INTERVAL, SUBSTEPS = 0.05, 5
"""Time between two rows, and steps of the method in it."""

TOLERANCE = 0.4
"""In deviations; a free run that is off by more has lost its way."""

FREE_STEPS = 200


class Lorenz(Forecast):
    """The next row of a chaotic flow in `coordinates` "xyz", "x", ...

    Args:
        coordinates: some of x, y and z, which a row has.
        seq_len: rows of a window.
        warm_up: rows of a window after which there is no forecast yet; None: half of them.
    """

    name = "lorenz"
    defaults = MappingProxyType({"steps": 2000, "batch": 32, "lr": 3e-3, "hidden": 32})

    def __init__(self, *, coordinates: str = "xyz", seq_len: int = 50, warm_up: int | None = None) -> None:
        known = isinstance(coordinates, str) and coordinates and set(coordinates) <= set("xyz")
        if not known or len(set(coordinates)) < len(coordinates):
            raise UsageError(f"task 'lorenz': coordinates is {coordinates!r}; give some of x, y and z, such as xz")
        self.coordinates = coordinates
        self._set_window(seq_len, 1, warm_up)
        self._set_series(lorenz()[TRANSIENT:, ["xyz".index(name) for name in coordinates]])

    def further_figures(self, model: nn.Module) -> dict[str, float]:
        """Return the median time, in Lyapunov times, for which free runs keep to the series."""
        return {"Lyapunov times of a free run": float(self._kept(model).median()) * INTERVAL * LYAPUNOV}

    def _kept(self, model: nn.Module) -> Tensor:
        """Return for how many steps (B,) the free run after each window of the validation keeps to the series."""
        starts = torch.tensor(range(TRAIN, len(self.series) - self.seq_len - FREE_STEPS, self.seq_len))
        rows = starts + torch.arange(self.seq_len + FREE_STEPS).unsqueeze(1)
        truth = self.series[rows].to(next(model.parameters()).device)
        read, free = truth[: self.seq_len], truth[self.seq_len :]
        outputs, state = model(read, None)
        lost = torch.zeros(len(starts), dtype=torch.bool, device=free.device)
        kept = torch.zeros(len(starts), dtype=torch.long, device=free.device)
        row = outputs[-1:]
        for expected in free:
            lost |= ~((row[0] - expected).square().mean(-1).sqrt() <= TOLERANCE)  # NaN is lost too
            kept += ~lost
            row, state = model(row, state)
        return kept


@cache
def lorenz(
    rows: int = TRANSIENT + TRAIN + HELD_OUT, interval: float = INTERVAL, substeps: int = SUBSTEPS
) -> NDArray[np.float64]:
    """Return (x, y, z) in rows (rows, 3) at the times `interval`, 2 `interval`, ..., by so many steps in each."""
    point, points = START, []
    for _ in range(rows):
        for _ in range(substeps):
            point = runge_kutta(_flow, point, interval / substeps)
        points.append(point)
    return np.array(points)


def _flow(_: float, point: Point) -> Point:
    x, y, z = point
    return SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer the Lorenz system."""
    return [Lorenz]
