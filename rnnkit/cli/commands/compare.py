"""`rnnkit compare`: runs side by side, as tables and as curves."""

import math
from dataclasses import asdict
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import click

from rnnkit.cli.output import echo_wrapped, json_option, print_json, print_table
from rnnkit.errors import UsageError

if TYPE_CHECKING:
    from rnnkit.runs.comparison import Comparison, Contender

FIGURES = ("steps", "tokens", "seconds", "tokens/s", "last", "best", "at step")
LESS = ("at step", "tokens/s", "seconds", "tokens")
"""Those that a narrow terminal can do without, before what differs between the runs."""


@click.command(short_help="Show runs side by side, with their curves.")
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the metric's curves into this PNG or SVG file.")
@json_option
def compare(folders: tuple[Path, ...], plot: Path | None, as_json: bool) -> None:
    """Show runs side by side: what differs in their settings, how far they came, and how well.

    A table for each task, a row for each run, also for one that is still running. `last` and `best` are validation
    figures in the task's metric.
    """
    from rnnkit.runs.comparison import compare as compared
    from rnnkit.runs.comparison_plot import draw
    from rnnkit.support.figures import check_plot

    if plot is not None:
        check_plot(plot)
    comparisons = compared(folders)
    if plot is not None and len(comparisons) > 1:
        names = ", ".join(comparison.task.name for comparison in comparisons)
        raise UsageError(f"--plot {plot}: the runs are of several tasks ({names}); give runs of one")
    for k, comparison in enumerate(comparisons):
        if as_json:
            for run in comparison.runs:
                print_json(_as_plain(comparison, run))
        else:
            echo_wrapped("\n" * (k > 0) + _heading(comparison) + "\n")
            _print(comparison)
    if plot is not None:
        draw(comparisons[0], plot)


def _print(comparison: "Comparison") -> None:
    own = [run.settings for run in comparison.runs]
    numbers = [
        name for name in comparison.differing if all(type(table.get(name)) in (int, float, NoneType) for table in own)
    ]
    headings = ["run", "cell", *comparison.differing, *FIGURES]
    rows = [_row(run, comparison.differing) for run in comparison.runs]
    same_cell = len({run.history.settings.cell for run in comparison.runs}) == 1
    less = [*LESS, *(["cell"] if same_cell else []), "steps", *reversed(comparison.differing), "cell"]
    print_table(headings, rows, right=[*numbers, *FIGURES], less=less, keep=("last", "best"))


def _heading(comparison: "Comparison") -> str:
    task = comparison.task
    return f"{task.name}: {comparison.metric}, {'higher' if task.higher_is_better else 'lower'} is better"


def _row(run: "Contender", differing: list[str]) -> list[str]:
    planned = run.history.settings.steps
    return [
        run.label,
        run.history.settings.cell,
        *(_text(run.settings.get(name, "")) for name in differing),
        f"{run.steps}" if run.steps == planned else f"{run.steps} of {planned}",
        f"{run.tokens:,}",
        "" if math.isnan(run.seconds) else f"{run.seconds:,.1f}",
        "" if math.isnan(run.speed) else f"{run.speed:,.0f}",
        _figure(run.last),
        _figure(run.best),
        "" if run.best_step is None else f"{run.best_step}",
    ]


def _as_plain(comparison: "Comparison", run: "Contender") -> dict[str, Any]:
    return {
        "run": run.label,
        "folder": str(run.path),
        "task": comparison.task.name,
        "cell": run.history.settings.cell,
        "differing": {name: run.settings.get(name) for name in comparison.differing},
        "steps": run.steps,
        "tokens": run.tokens,
        "seconds": run.seconds,
        "tokens_per_second": run.speed,
        "metric": comparison.metric,
        "last": run.last,
        "best": run.best,
        "best_step": run.best_step,
        "settings": asdict(run.history.settings),
    }


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _figure(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.3e}"
