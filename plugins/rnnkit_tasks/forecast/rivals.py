"""Simple forecasts that a model is held against, and how far off each is in the unit of the target."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

import rnnkit
from rnnkit_tasks.forecast.linear import linear_forecasts
from rnnkit_tasks.forecast.pace import Pace
from rnnkit_tasks.forecast.roles import quoted
from rnnkit_tasks.forecast.scaling import Scale

Numbers = NDArray[np.float64]

OURS, LAST, SEASONAL, RIDGE = "this run", "last value", "seasonal naive", "ridge"


def rivals(actual: Numbers, rows: NDArray[np.int64], horizon: int, season: int | None) -> dict[str, Numbers]:
    """Return what repeats the last value, and the one a season before, by name: (M, K), NaN where there is none.

    Args:
        actual: (N, K) of the whole table.
        rows: (M,) that are forecast.
        horizon: rows from the last one that is known to a row that is forecast.
        season: its rows; None: no season is known.
    """
    found = {LAST: _at(actual, rows - horizon)}
    if season is not None:
        found[SEASONAL] = _at(actual, rows - season * -(-horizon // season))  # the latest one that is known by then
    return found


def ridge(series: Numbers, ends: NDArray[np.int64], weights: Numbers, scale: Scale) -> Numbers:
    """Return (M, K) forecasts by the linear model of windows that end in rows `ends` (M,), in the targets' units."""
    forecasts = linear_forecasts(torch.from_numpy(series), torch.from_numpy(ends), torch.from_numpy(weights))
    return forecasts.numpy() * scale.scale + scale.mean


def errors(
    targets: Sequence[str], actual: Numbers, forecasts: Mapping[str, Numbers]
) -> tuple[rnnkit.ForecastError, ...]:
    """Return how far off each method is, target by target, where the truth is known.

    Args:
        targets: K names.
        actual: (M, K), NaN where it is not known.
        forecasts: (M, K) by method.
    """
    made = []
    for k, target in enumerate(targets):
        for method, values in forecasts.items():
            off = (values - actual)[:, k]
            off = off[np.isfinite(off)]
            if len(off):
                mae, rmse = float(np.abs(off).mean()), float(np.sqrt(np.square(off).mean()))
                made.append(rnnkit.ForecastError(target, method, mae, rmse, len(off)))
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


def _at(values: Numbers, rows: NDArray[np.int64]) -> Numbers:
    """Return rows of values; NaN for rows before the first."""
    return np.where((rows >= 0)[:, None], values[np.maximum(rows, 0)], np.nan)
