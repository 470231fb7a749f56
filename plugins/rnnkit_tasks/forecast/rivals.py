"""Simple forecasts that a model is held against, and how far off each is in the unit of the target."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import rnnkit
from rnnkit_tasks.forecast.linear import linear_forecasts
from rnnkit_tasks.forecast.pace import Pace
from rnnkit_tasks.forecast.roles import quoted
from rnnkit_tasks.forecast.windows import Windows

Numbers = NDArray[np.float64]

Rows = NDArray[np.int64]

OURS, LAST, SEASONAL, RIDGE = "this run", "last value", "seasonal naive", "ridge"


class Asked(NamedTuple):
    """What is forecast: M rows, each so many steps after the last one read."""

    ends: Rows
    """(M,) the last row read."""
    steps: Rows
    """(M,)."""
    begins: Rows
    """(M,) the first row of the series."""
    last: Numbers
    """(N, K) the last value that was known in each row of the table."""

    @property
    def rows(self) -> Rows:
        """(M,) that are forecast."""
        return self.ends + self.steps


def rivals(actual: Numbers, asked: Asked, season: int | None) -> dict[str, Numbers]:
    """Return what repeats the last value, and the one a season before, by name: (M, K), NaN where there is none.

    Args:
        actual: (N, K) of the whole table.
        asked: what is forecast.
        season: its rows; None: no season is known.
    """
    found = {LAST: _at(asked.last, asked.ends, asked.begins)}
    if season is not None:  # the latest one that is known by then
        before = asked.rows - season * -(-asked.steps // season)
        found[SEASONAL] = _at(actual, before, asked.begins)
    return found


def ridge(windows: Windows, asked: Asked, weights: Numbers, targets: int) -> Numbers:
    """Return (M, steps, K) forecasts by the linear model of windows, normalised."""
    series = windows.known.double()
    forecasts = linear_forecasts(series, torch.from_numpy(asked.ends), torch.from_numpy(weights))
    return forecasts.numpy().reshape(len(asked.ends), -1, targets)


def errors(
    targets: Sequence[str], actual: Numbers, forecasts: Mapping[str, Numbers], step: int | None = None
) -> tuple[rnnkit.ForecastError, ...]:
    """Return how far off each method is, target by target, where the truth is known.

    Args:
        targets: K names.
        actual: (M, K), NaN where it is not known.
        forecasts: (M, K) by method.
        step: how many rows ahead they all are; None: several.
    """
    made = []
    for k, target in enumerate(targets):
        for method, values in forecasts.items():
            off = (values - actual)[:, k]
            off = off[np.isfinite(off)]
            if len(off):
                mae, rmse = float(np.abs(off).mean()), float(np.sqrt(np.square(off).mean()))
                made.append(rnnkit.ForecastError(target, method, mae, rmse, len(off), step))
    return tuple(made)


def unbeaten(targets: Sequence[str], actual: Numbers, forecasts: Mapping[str, Numbers]) -> list[str]:
    """Name what is as good as this run or better, a text a target, by mean squared error over rows that both know."""
    found = []
    for k, target in enumerate(targets):
        better = []
        ours = np.square(forecasts[OURS] - actual)[:, k]
        for method, values in forecasts.items():
            theirs = np.square(values - actual)[:, k]
            both = np.isfinite(ours) & np.isfinite(theirs)
            if method != OURS and both.any() and theirs[both].mean() <= ours[both].mean():
                better.append(method)
        if better:
            found.append(f"{', '.join(better)} on {quoted(target)}")
    return found


def season_of(asked: int | None, pace: Pace | None) -> tuple[int | None, str]:
    """Return the rows of a season, as asked or as the pace of the rows suggests, and the words for it."""
    if asked is not None:
        return asked, f"season of {SEASONAL}: {asked} row(s), as asked"
    known = None if pace is None else pace.season()
    if known is None:
        why = "the rows have no pace in time" if pace is None else f"rows {pace} apart suggest no season"
        return None, f"no {SEASONAL}: {why}; --season ROWS gives one"
    return known[0], f"season of {SEASONAL}: {known[0]} rows, {known[1]} of rows {pace} apart"


def unknown(season: int | None, actual: Numbers, forecasts: Mapping[str, Numbers]) -> list[str]:
    """Say where nothing is known a season before."""
    if season is None:
        return []
    truth = np.isfinite(actual).any(axis=1)
    known = truth & np.isfinite(forecasts[SEASONAL]).any(axis=1)
    if known.sum() == truth.sum():
        return []
    if not known.any():
        return [f"no {SEASONAL}: no row is known {season} rows before another"]
    return [f"{SEASONAL} is judged on {known.sum()} of {truth.sum()} rows, which have one a season before"]


def _at(values: Numbers, rows: Rows, begins: Rows) -> Numbers:
    """Return rows of values; NaN for rows before their series begins."""
    return np.where((rows >= begins)[:, None], values[np.maximum(rows, 0)], np.nan)
