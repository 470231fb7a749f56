"""What `rnnkit compare` found, as tables: runs over their seeds, each run, and what all have."""

import math
from types import NoneType
from typing import TYPE_CHECKING, Any

from rnnkit.cli.output import echo_wrapped, print_table

if TYPE_CHECKING:
    from rnnkit.runs.comparison import Comparison, Contender
    from rnnkit.runs.seed_groups import SeedGroup, Spread

FIGURES = ("parameters", "steps", "tokens", "seconds", "tokens/s", "last", "best", "at step")
LESS = ("at step", "tokens/s", "seconds", "tokens")
"""Those that a narrow terminal can do without, before what differs between the runs."""
SAID_ANYWAY = ("cell", "steps", "hidden", "layers", "batch", "lr", "optimizer")
"""Settings that are said where all runs have them, even if they are the defaults."""


def print_comparison(comparison: "Comparison", groups: "list[SeedGroup]") -> None:
    """Print the runs of a task, over their seeds first where there are several, and at the end what all have."""
    task = comparison.task
    echo_wrapped(f"{task.name}: {comparison.metric}, {'higher' if task.higher_is_better else 'lower'} is better\n")
    if several_seeds(groups):
        _print_groups(comparison, groups)
        echo_wrapped("\neach run\n")
    _print_runs(comparison)
    if len(comparison.runs) > 1:
        echo_wrapped(f"\nthe same in all: {_said(comparison)}")


def several_seeds(groups: "list[SeedGroup]") -> bool:
    """Tell whether any group has runs of more than one seed."""
    return any(len({run.history.settings.seed for run in group.runs}) > 1 for group in groups)


def figure(value: float) -> str:
    """Write a figure with four digits that count, at least; empty: it is not known."""
    if math.isnan(value):
        return ""
    if value == 0 or 0.1 <= abs(value) < 1e6:
        return f"{value:.4f}"
    return f"{value:#.4g}" if 1e-3 <= abs(value) < 0.1 else f"{value:.3e}"


def _print_groups(comparison: "Comparison", groups: "list[SeedGroup]") -> None:
    from rnnkit.runs.seed_groups import grouped_settings

    names = [name for name in ("cell", "steps") if name not in comparison.same]
    names += grouped_settings(comparison.differing)
    rows = []
    for group in groups:
        first = group.runs[0]
        settings = {"cell": first.history.settings.cell, "steps": first.history.settings.steps, **first.settings}
        rows.append(
            [
                *(_text(settings.get(name, "")) for name in names),
                _count(first.parameters),
                f"{len(group.counted)}",
                _spread(group.last),
                _spread(group.best),
            ]
        )
    echo_wrapped("over seeds: mean ± standard deviation\n")
    figures = ["parameters", "seeds", "last", "best"]
    right = [*_numbers(comparison, names), "steps", *figures]
    less = ["best", "parameters", *reversed(names[1:])]
    print_table([*names, *figures], rows, right=right, less=less, keep=("seeds", "last"))
    for reason in (reason for group in groups for reason in group.left_out):
        echo_wrapped(f"not in a mean: {reason}")


def _print_runs(comparison: "Comparison") -> None:
    same_cell = "cell" in comparison.same and len(comparison.runs) > 1
    headings = ["run", *([] if same_cell else ["cell"]), *comparison.telling, *FIGURES]
    rows = []
    for run in comparison.runs:
        cell = [] if same_cell else [run.history.settings.cell]
        rows.append([run.label, *cell, *_row(run, comparison.telling)])
    less = [*LESS, "parameters", "steps", *reversed(comparison.telling), "cell"]
    right = [*_numbers(comparison, comparison.telling), *FIGURES]
    print_table(headings, rows, right=right, less=less, keep=("last", "best"))


def _row(run: "Contender", differing: list[str]) -> list[str]:
    planned = run.history.settings.steps
    return [
        *(_text(run.settings.get(name, "")) for name in differing),
        _count(run.parameters),
        f"{run.steps}" if run.steps == planned else f"{run.steps} of {planned}",
        f"{run.tokens:,}",
        "" if math.isnan(run.seconds) else f"{run.seconds:,.1f}",
        "" if math.isnan(run.speed) else f"{run.speed:,.0f}",
        figure(run.last),
        figure(run.best),
        "" if run.best_step is None else f"{run.best_step}",
    ]


def _numbers(comparison: "Comparison", names: list[str]) -> list[str]:
    """Return which of these settings hold numbers in all runs."""
    own = [run.settings for run in comparison.runs]
    return [name for name in names if name != "cell" and all(type(t.get(name)) in (int, float, NoneType) for t in own)]


def _said(comparison: "Comparison") -> str:
    """List settings that are the same in all runs: options, what is not the default, and what one asks for first."""
    from rnnkit.runs.setting_fields import FIELDS, default_of

    told = [
        f"{name} {_text(value)}"
        for name, value in comparison.same.items()
        if name in SAID_ANYWAY or name not in FIELDS or value != default_of(name)
    ]
    others = [name for name in comparison.differing if name not in comparison.telling]
    but = f" (but {', '.join(others)}, on which no figure depends)" if others else ""
    return ", ".join([*told, f"every other setting at its default{but}"])


def _spread(spread: "Spread") -> str:
    """Write a mean and its deviation, the latter with two digits that count."""
    mean, deviation = figure(spread.mean), spread.deviation
    if math.isnan(deviation) or deviation == 0:
        return mean if math.isnan(deviation) else f"{mean} ± 0"
    if "e" in mean or not 1e-4 <= deviation < 1e6:
        return f"{mean} ± {deviation:.1e}"
    return f"{mean} ± {deviation:.{max(0, 1 - math.floor(math.log10(deviation)))}f}"


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
