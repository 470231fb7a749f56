"""The Mackey-Glass series: a differential equation with a delay, chaotic where the delay is long.

    x'(t) = β x(t - τ) / (1 + x(t - τ)^10) - γ x(t),  β = 0.2, γ = 0.1, τ = 17

by the Runge-Kutta method of order 4 at a step of 0.2, with the delayed value between two steps by Hermite's cubic; a
row a unit of time, the first 1000 left out. From a window of `seq_len` rows the one `horizon` steps later is told,
after each step but the first `warm_up`, by default half of them. The first 8000 rows train, the 2000 after them
validate.

Metric: NRMSE, the root mean squared error over the standard deviation of the rows that train.

Source: Mackey & Glass, "Oscillation and Chaos in Physiological Control Systems", Science 197, 1977.
"""

from functools import cache, partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

import rnnkit
from rnnkit.errors import UsageError, check_whole
from rnnkit_tasks._runge_kutta import Point, runge_kutta
from rnnkit_tasks._series import HELD_OUT, TRAIN, Forecast

BETA, GAMMA, POWER = 0.2, 0.1, 10
START = 1.2
"""x(t) for t <= 0."""

TRANSIENT = 1000
SUBSTEPS = 5
"""In a unit of time."""

SHORTEST, LONGEST = 5, 200
"""Delays; of less than about 4.5 the series comes to rest."""


class MackeyGlass(Forecast):
    """A chaotic series with delay `tau`, `horizon` steps ahead.

    Args:
        tau: delay of the equation; the longer, the more chaotic.
        horizon: steps from the last one that is read to what is forecast.
        seq_len: steps of a window.
        warm_up: steps of a window after which there is no forecast yet; None: half of them.
    """

    name = "mackey-glass"
    defaults = MappingProxyType({"steps": 2000, "batch": 32, "lr": 3e-3, "hidden": 32})

    def __init__(self, *, tau: int = 17, horizon: int = 15, seq_len: int = 100, warm_up: int | None = None) -> None:
        check_whole("task 'mackey-glass': tau", tau, least=SHORTEST)
        if tau > LONGEST:
            raise UsageError(f"task 'mackey-glass': tau is {tau}; it must be {LONGEST} or less")
        self.tau = tau
        self._set_window(seq_len, horizon, warm_up)
        self._set_series(mackey_glass(tau)[TRANSIENT:, None])


@cache
def mackey_glass(tau: int, units: int = TRANSIENT + TRAIN + HELD_OUT, substeps: int = SUBSTEPS) -> NDArray[np.float64]:
    """Return x (units,) at the times 1, 2, ..., by so many steps in a unit of time."""
    step, delay = 1 / substeps, tau * substeps
    x, solution = START, []
    growth = [_growth(START)] * (delay + 1)  # at each step so far, from -τ on
    between = [_growth(START)] * delay  # in the middle of each
    for now in range(units * substeps):
        growths = {0.0: growth[now], step / 2: between[now], step: growth[now + 1]}
        before, slope = x, growth[now] - GAMMA * x
        (x,) = runge_kutta(partial(_slope, growths), (x,), step)
        middle = (before + x) / 2 + step / 8 * (slope - growth[now + 1] + GAMMA * x)
        growth.append(_growth(x))
        between.append(_growth(middle))
        solution.append(x)
    return np.array(solution[substeps - 1 :: substeps])


def _slope(growths: dict[float, float], time: float, point: Point) -> Point:
    """Return x' at a time since the beginning of a step: growth comes from the delayed value, decay from this one."""
    return (growths[time] - GAMMA * point[0],)


def _growth(x: float) -> float:
    return BETA * x / (1 + x**POWER)


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer the Mackey-Glass series."""
    return [MackeyGlass]
