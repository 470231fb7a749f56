"""The picture of runs side by side: their metric against steps, tokens and seconds."""

from typing import TYPE_CHECKING, Any

import numpy as np

from rnnkit.runs.comparison import Comparison, Contender
from rnnkit.runs.history import Numbers
from rnnkit.support.figures import save
from rnnkit.support.paths import AnyPath, as_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 200
"""Of a line; each is the mean of as many updates as that takes."""
DECADES = 2
"""The axis is logarithmic where what is drawn spans more."""
STEEP = 10
"""A linear axis may cut off the first one of so many parts of a line, where it falls from where chance begins."""
CHARACTERS = 13
"""Of the legend on an inch."""


def draw(comparison: Comparison, path: AnyPath) -> None:
    """Draw a colour a run: its metric in training as a line, in validation as dots.

    Raises:
        ResourceError: the file cannot be written.
    """
    path = as_path(path)
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    runs = comparison.runs
    timed = any(np.isfinite(run.history.seconds).any() for run in runs)
    names = ["steps", "tokens", *(["seconds"] if timed else [])]
    figure = Figure(figsize=(4.2 * len(names), 3.6), layout="constrained")
    panels: list[Any] = list(figure.subplots(1, len(names), sharey=True, squeeze=False)[0])
    colours = _colours(len(runs))
    for panel, name in zip(panels, names, strict=True):
        for run, colour in zip(runs, colours, strict=True):
            _draw_run(panel, run, name, colour)
        panel.set_xlabel(name)
        panel.locator_params(axis="x", nbins=7)
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel(comparison.metric)
    _scale(panels[0], runs)
    _explain(figure, [_label(run, comparison.telling) for run in runs], colours)
    save(figure, path)


def _draw_run(panel: Any, run: Contender, name: str, colour: Any) -> None:
    history = run.history
    xs = {"steps": history.step, "tokens": history.tokens, "seconds": history.seconds}[name].astype(float)
    panel.plot(*_thinned(xs, history.metric), color=colour, linewidth=1, alpha=0.7)
    where = np.searchsorted(history.step, history.validation.step)
    panel.plot(xs[where], history.validation.metric, "o", color=colour, markersize=4)


def _thinned(xs: Numbers, ys: Numbers) -> tuple[Numbers, Numbers]:
    """Return at most POINTS points, each the mean of neighbours; what is not finite is left out."""
    finite = np.isfinite(xs) & np.isfinite(ys)
    xs, ys = xs[finite], ys[finite]
    if not len(xs):
        return xs, ys
    starts = np.arange(0, len(xs), -(-len(xs) // POINTS))
    sizes = np.diff(np.append(starts, len(xs)))
    return np.add.reduceat(xs, starts) / sizes, np.add.reduceat(ys, starts) / sizes


def _scale(panel: Any, runs: list[Contender]) -> None:
    """Make the axis logarithmic, or leave out of a linear one what would flatten the rest."""
    lines = [_thinned(run.history.step.astype(float), run.history.metric)[1] for run in runs]
    dots = [run.history.validation.metric[np.isfinite(run.history.validation.metric)] for run in runs]
    drawn, settled = np.concatenate(lines + dots), np.concatenate([line[len(line) // STEEP :] for line in lines] + dots)
    if not len(drawn):
        return
    if drawn.min() > 0 and drawn.max() / drawn.min() > 10**DECADES:
        panel.set_yscale("log")
    elif settled.max() > settled.min():
        margin = 0.05 * (settled.max() - settled.min())
        panel.set_ylim(settled.min() - margin, settled.max() + margin)


def _explain(figure: "Figure", labels: list[str], colours: list[Any]) -> None:
    """Put a legend below the panels, in as many columns as there is room for."""
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], color=colour) for colour in colours]
    marks += [Line2D([], [], color="grey"), Line2D([], [], color="grey", marker="o", linestyle="")]
    labels = [*labels, "training", "validation"]
    width, height = figure.get_size_inches()
    columns = min(len(labels), max(1, int(width * CHARACTERS / (max(map(len, labels)) + 8))))
    figure.set_size_inches(width, height + 0.22 * -(-len(labels) // columns))
    figure.legend(marks, labels, loc="outside lower center", ncols=columns, frameon=False)


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    few = colormaps["tab10"]
    return [few(k) for k in range(count)] if count <= few.N else list(colormaps["turbo"](np.linspace(0, 1, count)))


def _label(run: Contender, differing: list[str]) -> str:
    """Name a run, and say what is its own."""
    own = [f"{name} {run.settings[name]}" for name in differing if name in run.settings]
    return f"{run.label} ({', '.join(own)})" if own else run.label
