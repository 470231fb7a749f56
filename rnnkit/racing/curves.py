"""The picture of a race: the validation metric against updates, tokens and seconds."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnkit.racing.standings import Standings
from rnnkit.racing.trial import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = {"step": "updates", "tokens": "tokens", "seconds": "seconds of training"}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Told apart by colour-blind readers, too: Okabe & Ito, "Color Universal Design", 2008; seen on white and black."""
MARKERS = "os^Dvp"
"""So that cells are told apart without colours."""
DECADES = 1.5
"""The axis is logarithmic where what is drawn spans more."""
DOTS = 200
"""On an inch of a PNG."""
STEEP = 10
"""A linear axis may cut off the first one of so many parts of a line, where it falls from where chance begins."""
SMALL, GAP = 8, 0.065
"""Points of a baseline's label; and how far two of them are apart, as a share of the panel."""

Numbers = NDArray[np.float64]

THOUSANDS = 2000
"""From here on an axis counts in k and M."""


def draw(result: Standings, *, stacked: bool = False) -> "Figure":
    """Draw a colour a cell: the median over its seeds as a line, the range as a band, baselines dashed.

    Where a training ended early stands a cross; the median and the range are of those that go on.

    Args:
        result: of a race.
        stacked: panels above each other, for a narrow screen.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    rows, columns = (3, 1) if stacked else (1, 3)
    figure = Figure(figsize=(4.4, 9.6) if stacked else (12, 3.7), dpi=DOTS, layout="constrained")
    panels: list[Any] = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for panel, (name, label) in zip(panels, AXES.items(), strict=True):
        for number, trainings in enumerate(result.curves.values()):
            _draw_cell(panel, trainings, name, _style(number, len(result.curves)))
        panel.set_xlabel(label)
        panel.locator_params(axis="x", nbins=6)
        if panel.get_xlim()[1] >= THOUSANDS:
            panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    _scale(panels[0], result)
    for panel in panels if stacked else panels[:1]:
        panel.set_ylabel(f"validation {result.task.metric_name}")
    for panel in panels:
        _draw_levels(panel, result, labelled=panel is panels[-1] or stacked, inside=stacked)
    _explain(figure, result)
    return figure


def alt(result: Standings) -> str:
    """Return what the picture shows, for those who do not see it."""
    task, cells = result.task, ", ".join(result.curves)
    first = result.leaderboard[0]
    return (
        f"Validation {task.metric_name} on {task.name} against updates, tokens and seconds for {cells}: "
        f"median over {result.settings.seeds} seeds with the range; {first.cell} ends best, at {first.median:.3g}"
    )


def _draw_cell(panel: Any, trainings: Sequence[Result], name: str, style: dict[str, Any]) -> None:
    metrics = _padded([training.metric for training in trainings])
    places = _padded([getattr(training, name) for training in trainings])
    xs, middle, low, high = (_over_seeds(rows, of) for rows, of in _drawn(places, metrics))
    panel.fill_between(xs, low, high, color=style["color"], alpha=0.18, linewidth=0)
    panel.plot(xs, middle, linewidth=1.8, markersize=4, markevery=0.1, **style)
    for training in trainings:
        if not training.finished and training.metric:
            end = getattr(training, name)[-1], training.metric[-1]
            panel.plot(*end, marker="x", markersize=8, markeredgewidth=2, color=style["color"], zorder=4)


def _drawn(places: Numbers, metrics: Numbers) -> list[tuple[Numbers, Any]]:
    return [(places, np.median), (metrics, np.median), (metrics, np.min), (metrics, np.max)]


def _over_seeds(rows: Numbers, of: Any) -> Numbers:
    """Return a figure of each column, over the rows that go so far."""
    return np.array([of(column[np.isfinite(column)]) for column in rows.T])


def _padded(rows: Sequence[Sequence[float]]) -> Numbers:
    """Return rows of several lengths as one array, NaN where a row has ended."""
    longest = max(map(len, rows))
    return np.array([[*row, *[math.nan] * (longest - len(row))] for row in rows], dtype=float)


def _scale(panel: Any, result: Standings) -> None:
    """Make the axis logarithmic, or leave out of a linear one what would flatten the rest."""
    lines = [training.metric for trainings in result.curves.values() for training in trainings if training.metric]
    levels = [*result.baselines.values(), *([] if result.settings.target is None else [result.settings.target])]
    drawn = np.array([*(value for line in lines for value in line), *levels])
    if not len(drawn):
        return
    if drawn.min() > 0 and drawn.max() / drawn.min() > 10**DECADES:
        panel.set_yscale("log")
        return
    settled = np.array([*(value for line in lines for value in line[len(line) // STEEP :]), *levels])
    margin = 0.05 * (settled.max() - settled.min()) or 1.0
    panel.set_ylim(settled.min() - margin, settled.max() + margin)


def _draw_levels(panel: Any, result: Standings, *, labelled: bool, inside: bool) -> None:
    """Draw the baselines dashed and the target dotted, and their names at the right of the panel."""
    levels = [(value, name, "--") for name, value in result.baselines.items()]
    if result.settings.target is not None:
        levels.append((result.settings.target, "target", ":"))
    for value, _, dashes in levels:
        panel.axhline(value, linestyle=dashes, linewidth=1, color="#808080", zorder=1)
    if not labelled:
        return
    to_panel = panel.transScale + panel.transLimits
    before = -math.inf
    for value, name, _ in sorted(levels):
        height = max(float(to_panel.transform((1.0, value))[1]), before + GAP)
        before = height
        where = (0.99, height + 0.01) if inside else (1.02, height)
        sides = ("right", "bottom") if inside else ("left", "center")
        panel.text(
            *where,
            f"{name} ({value:.3g})",
            transform=panel.transAxes,
            fontsize=SMALL,
            ha=sides[0],
            va=sides[1],
            zorder=5,
        )


def _explain(figure: "Figure", result: Standings) -> None:
    """Put the names of the cells above the panels, in as many columns as there is room for."""
    from matplotlib.lines import Line2D

    names = list(result.curves)
    marks = [Line2D([], [], linewidth=1.8, markersize=5, **_style(k, len(names))) for k in range(len(names))]
    hidden = {place.cell: place.size.hidden for place in result.leaderboard}
    labels = [f"{name} (hidden {hidden[name]})" for name in names]
    width, height = figure.get_size_inches()
    columns = min(len(labels), max(1, int(width * 11 / (max(map(len, labels)) + 6))))
    figure.set_size_inches(width, height + 0.22 * -(-len(labels) // columns))
    figure.legend(marks, labels, loc="outside upper center", ncols=columns, frameon=False)


def _style(number: int, count: int) -> dict[str, Any]:
    from matplotlib import colormaps

    marker = MARKERS[number % len(MARKERS)]
    if count <= len(COLOURS):
        return {"color": COLOURS[number], "marker": marker}
    many = colormaps["tab10"]
    colour = many(number) if count <= many.N else colormaps["turbo"](0.08 + 0.87 * number / (count - 1))
    return {"color": colour, "marker": marker}
