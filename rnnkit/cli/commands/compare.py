"""`rnnkit compare`: runs side by side, as tables and as curves."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnkit.cli.compare_tables import print_comparison, several_seeds
from rnnkit.cli.output import json_option, print_json
from rnnkit.cli.streams import echo
from rnnkit.errors import UsageError

if TYPE_CHECKING:
    from rnnkit.runs.comparison import Comparison, Contender
    from rnnkit.runs.seed_groups import SeedGroup


@click.command(short_help="Show runs side by side, with their curves.")
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the metric's curves into this PNG or SVG file.")
@json_option
def compare(folders: tuple[Path, ...], plot: Path | None, as_json: bool) -> None:
    """Show runs side by side: what differs in their settings, how far they came, and how well.

    A table for each task, a row for each run, also for one that is still running. `last` and `best` are validation
    figures in the task's metric. Runs that differ in nothing but their seed also share a row of a table before it: the
    mean of their figures, the standard deviation, and over how many seeds. --json prints a line for each run, and one
    for each such group.
    """
    from rnnkit.runs.comparison import compare as compared
    from rnnkit.runs.comparison_plot import draw
    from rnnkit.runs.seed_groups import seed_groups
    from rnnkit.support.figures import check_plot

    if plot is not None:
        check_plot(plot)
    comparisons = compared(folders)
    if plot is not None and len(comparisons) > 1:
        names = ", ".join(comparison.task.name for comparison in comparisons)
        raise UsageError(f"--plot {plot}: the runs are of several tasks ({names}); give runs of one")
    for k, comparison in enumerate(comparisons):
        groups = seed_groups(comparison.runs)
        if as_json:
            _print_json(comparison, groups)
        else:
            echo("\n" * (k > 0), end="")
            print_comparison(comparison, groups)
    if plot is not None:
        draw(comparisons[0], plot)


def _print_json(comparison: "Comparison", groups: "list[SeedGroup]") -> None:
    for run in comparison.runs:
        print_json({"event": "run", **_plain_run(comparison, run)})
    for group in groups if several_seeds(groups) else []:
        print_json({"event": "group", **_plain_group(comparison, group)})


def _plain_run(comparison: "Comparison", run: "Contender") -> dict[str, Any]:
    return {
        "run": run.label,
        "folder": str(run.path),
        "task": comparison.task.name,
        "cell": run.history.settings.cell,
        "differing": {name: run.settings.get(name) for name in comparison.differing},
        "parameters": run.parameters,
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


def _plain_group(comparison: "Comparison", group: "SeedGroup") -> dict[str, Any]:
    from rnnkit.runs.seed_groups import grouped_settings

    first = group.runs[0]
    return {
        "runs": [run.label for run in group.runs],
        "counted": [run.label for run in group.counted],
        "left_out": group.left_out,
        "task": comparison.task.name,
        "cell": first.history.settings.cell,
        "differing": {name: first.settings.get(name) for name in grouped_settings(comparison.differing)},
        "parameters": first.parameters,
        "seeds": group.seeds,
        "metric": comparison.metric,
        "last": group.last._asdict(),
        "best": group.best._asdict(),
    }
