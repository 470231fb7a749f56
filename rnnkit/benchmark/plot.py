"""The picture of a measurement: for each size, how many times as long each rival takes."""

from collections.abc import Sequence
from typing import Any

from rnnkit.benchmark.measure import Outcome
from rnnkit.support.figures import save
from rnnkit.support.paths import AnyPath, as_path


def draw(outcomes: Sequence[Outcome], path: AnyPath) -> None:
    """Draw medians and intervals, one line a rival, on a logarithmic axis; the line at 1 is rnnkit.

    Raises:
        ResourceError: the file cannot be written.
    """
    path = as_path(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.45 * len(outcomes) + 1.6), layout="constrained")
    axes: Any = figure.subplots()
    places = range(len(outcomes))
    for k, label in enumerate(outcomes[0].rivals):
        ratios = [outcome.rivals[label] for outcome in outcomes]
        middle = [r.median for r in ratios]
        spread = [[r.median - r.low for r in ratios], [r.high - r.median for r in ratios]]
        offset = 0.12 * (k - (len(outcomes[0].rivals) - 1) / 2)
        axes.errorbar(middle, [place + offset for place in places], xerr=spread, fmt="o", capsize=3, label=label)
    first = outcomes[0]
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_yticks(list(places), [_label(outcome) for outcome in outcomes])
    axes.invert_yaxis()
    axes.set_ylabel("B x T x I x H")
    axes.set_xlabel(f"time as a multiple of rnnkit's ({first.cell}, {first.unroller}); right of 1, rnnkit is faster")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper right", ncols=len(first.rivals))
    save(figure, path)


def _label(outcome: Outcome) -> str:
    return f"{outcome.size}{'' if outcome.training else ' forward'}"
