"""A forecast of rows of a table: values with bounds, in the table's own units, beside the truth where it is known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnnkit.core.forecast_plot import Curve, draw
from rnnkit.core.prediction import Figure, Prediction
from rnnkit.support.figures import black_on_nothing, svg_of

Numbers: TypeAlias = NDArray[np.float64]

FINEST = 15
"""Decimals; a target of which more would be needed is written with an exponent."""


class ForecastError(NamedTuple):
    """How far off a method was, in the unit of the target."""

    target: str
    method: str
    """"this run", or what it is held against."""
    mae: float
    """Mean absolute error."""
    rmse: float
    """Root of the mean squared error."""
    rows: int
    """That it is the mean over: those whose truth is known, and for which the method has a forecast."""
    step: int | None = None
    """How many rows ahead they are; None: all that there are."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Forecast(Prediction):
    """Forecasts of N rows and K targets, in the units of the table; NaN stands for what is not known."""

    index: Mapping[str, Sequence[str]]
    """What the rows are called, N texts a column: their times as the table writes them, or "row", counted from 1."""

    targets: tuple[str, ...]
    """K names."""

    values: Numbers
    """(N, K) forecasts."""

    lower: Numbers
    """(N, K) lower bounds of the prediction interval."""

    upper: Numbers
    """(N, K) upper bounds."""

    actual: Numbers
    """(N, K) what came; NaN for rows beyond the end of the table."""

    interval: float
    """Share of the truth that the bounds are made to hold."""

    resolution: Numbers
    """(K,) or (N, K): what a last digit may stand for; the text of a forecast has no finer ones."""

    errors: tuple[ForecastError, ...] = ()
    """Of this run and then of what it is held against, target by target; empty where no truth is known."""

    notes: tuple[str, ...] = ()

    key: str = ""
    """The column of `index` that tells several series apart; "": there is one."""
    event = "error"

    step_column: ClassVar[str] = "step"
    """Of `index`, says how many rows ahead a forecast is, where several are."""

    @property
    def coverage(self) -> Numbers:
        """(K,) share of the known truth that lies within the bounds; NaN where none is known."""
        known = np.isfinite(self.actual) & np.isfinite(self.lower)
        inside = known & (self.actual >= self.lower) & (self.actual <= self.upper)
        counts = known.sum(0)
        return np.where(counts > 0, inside.sum(0) / np.maximum(counts, 1), np.nan)

    def columns(self) -> dict[str, list[str]]:
        """Return what the rows are called, and of each target `_forecast`, `_lower`, `_upper` and `_actual`."""
        table = {name: list(texts) for name, texts in self.index.items()}
        units = np.broadcast_to(np.asarray(self.resolution, dtype=np.float64), self.values.shape)
        for k, target in enumerate(self.targets):
            for name, numbers in (("forecast", self.values), ("lower", self.lower), ("upper", self.upper)):
                table[f"{target}_{name}"] = [
                    _rounded(*pair) for pair in zip(numbers[:, k].tolist(), units[:, k].tolist(), strict=True)
                ]
            table[f"{target}_actual"] = ["" if np.isnan(v) else f"{v:.15g}" for v in self.actual[:, k].tolist()]
        return table

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield a row at a time: times as text, numbers as numbers, None where nothing is known."""
        columns = self.columns()
        for cells in zip(*columns.values(), strict=True):
            yield {
                name: int(cell)
                if name == self.step_column
                else cell
                if name in self.index
                else float(cell)
                if cell
                else None
                for name, cell in zip(columns, cells, strict=True)
            }

    def figures(self) -> list[dict[str, Figure]]:
        """Return the errors, and what share of the truth the bounds hold."""
        shares = dict(zip(self.targets, self.coverage.tolist(), strict=True))
        seen: set[str] = set()
        rows: list[dict[str, Figure]] = []
        for target, method, mae, rmse, count, step in self.errors:
            if step is not None:
                continue
            share = None if target in seen or np.isnan(shares[target]) else shares[target]  # of this run, the first
            seen.add(target)
            rows.append(
                {"target": target, "method": method, "MAE": mae, "RMSE": rmse, "coverage": share, "rows": count}
            )
        return rows

    def step_figures(self) -> list[dict[str, Figure]]:
        """Return the root of the mean squared error of each method by how many rows ahead, a row a target and step.

        Empty where all forecasts are as many rows ahead.
        """
        rows: dict[tuple[str, int], dict[str, Figure]] = {}
        methods = dict.fromkeys(error.method for error in self.errors)
        for error in self.errors:
            if error.step is not None:
                place = error.target, error.step
                blank: dict[str, Figure] = {"target": error.target, "step": error.step, **dict.fromkeys(methods)}
                rows.setdefault(place, blank)[error.method] = error.rmse
        return [rows[place] for place in sorted(rows, key=lambda place: (self.targets.index(place[0]), place[1]))]

    def plot(self) -> Any:
        """Draw a panel a target: what came, what was forecast, and the interval around it, for the last rows.

        Of several series each has its own panel; of several forecasts of one row the latest is drawn.

        Raises:
            UsageError: there is no matplotlib.
        """
        times = [name for name in self.index if name not in (self.key, self.step_column)]
        names = [" ".join(filter(None, texts)) for texts in zip(*(self.index[name] for name in times), strict=True)]
        kinds = list(self.index[self.key]) if self.key else [""] * len(names)
        series = [
            [*{names[row]: row for row in range(len(names)) if kinds[row] == kind}.values()]
            for kind in dict.fromkeys(kinds)
        ]
        shown = min(map(len, series))
        curves = []
        for k, target in enumerate(self.targets):
            for rows in (rows[-shown:] for rows in series):
                label = f"{target}, {kinds[rows[0]]}" if self.key else target
                values, lower, upper, actual = (
                    part[rows, k] for part in (self.values, self.lower, self.upper, self.actual)
                )
                curves.append(Curve(label, values, lower, upper, actual, [names[row] for row in rows]))
        return draw(curves, " + ".join(times), self.interval)

    def describe(self) -> str:
        """Return what the picture shows, in a sentence."""
        beyond = int((~np.isfinite(self.actual)).all(1).sum())
        named = [texts for name, texts in self.index.items() if name != self.step_column]
        first, last = (" ".join(texts[at] for texts in named if texts[at]) for at in (0, -1))
        shares = [
            f"{target}: the interval holds {share:.0%} of what came"
            for target, share in zip(self.targets, self.coverage.tolist(), strict=True)
            if np.isfinite(share)
        ]
        what = f"Forecasts of {', '.join(self.targets)} from {first} to {last}, {beyond} row(s) of them not yet known"
        return "; ".join([what, *shares])

    def svg(self) -> str:
        """Return the picture as SVG for a page, in the colours of the text around it.

        Raises:
            UsageError: there is no matplotlib.
        """
        with black_on_nothing():
            return svg_of(self.plot(), self.describe())


def _rounded(value: float, unit: float) -> str:
    """Write a number down to the digit that `unit` allows."""
    if not np.isfinite(value):
        return ""
    decimals = max(0, -int(np.floor(np.log10(unit))))
    return f"{value:.6e}" if decimals > FINEST else f"{value:.{decimals}f}"
