"""The picture of a forecast: what came, what was forecast, and the interval around it."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import UsageError
from rnnkit.support.figures import COLOURS

LAST = 200
"""Rows that are drawn, the last ones."""

PANELS = 8
"""Targets that are drawn, the first ones."""

WIDTH, HEIGHT = 6.4, 2.3
LABELS = 5


class Curve(NamedTuple):
    """One target, or one of one series: (N,) each, NaN where nothing is known."""

    target: str
    values: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    actual: NDArray[np.float64]
    names: Sequence[str]
    """Of the rows, N."""


def draw(curves: Sequence[Curve], axis: str, interval: float) -> Any:
    """Return a figure of matplotlib with a panel a target.

    Args:
        curves: of the targets, N the same in all.
        axis: what the names are.
        interval: share of the truth that the bounds are made to hold.

    Raises:
        UsageError: there is no matplotlib.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("the picture of a forecast needs matplotlib; pip install 'rnnkit[plot]'")
    from matplotlib.figure import Figure

    shown = curves[:PANELS]
    figure = Figure(figsize=(WIDTH, 0.8 + HEIGHT * len(shown)), layout="constrained")
    shared = all(list(curve.names) == list(shown[0].names) for curve in shown)
    panels: list[Any] = list(figure.subplots(len(shown), 1, sharex=shared, squeeze=False)[:, 0])
    count = len(shown[0].names)
    rows = np.arange(max(0, count - LAST), count)
    for panel, curve in zip(panels, shown, strict=True):
        band = curve.lower[rows], curve.upper[rows]
        if np.isfinite(band).any():
            panel.fill_between(rows, *band, color=COLOURS[1], alpha=0.2, linewidth=0, label=f"{interval:.0%} interval")
        if np.isfinite(curve.actual[rows]).any():
            panel.plot(rows, curve.actual[rows], color="black", linewidth=1.2, label="what came")
        panel.plot(rows, curve.values[rows], color=COLOURS[1], linewidth=1.2, label="forecast", marker=_dot(len(rows)))
        panel.set_ylabel(curve.target)
        panel.grid(alpha=0.3)
    ticks = np.unique(np.linspace(rows[0], rows[-1], LABELS).round().astype(int))
    for panel, curve in zip(panels, shown, strict=True):
        if panel is panels[-1] or not shared:
            panel.set_xticks(ticks, [curve.names[at] for at in ticks], rotation=15, ha="right", fontsize="small")
    panels[-1].set_xlabel(axis)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), frameon=False)
    if len(curves) > len(shown):
        panels[0].set_title(f"the first {len(shown)} of {len(curves)} targets", fontsize="small", loc="right")
    return figure


def _dot(count: int) -> str:
    """Mark the points of a line that may have but one."""
    return "." if count < 40 else ""
