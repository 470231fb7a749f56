"""Progress of a training run, on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rnnkit.cli.streams import tell

if TYPE_CHECKING:
    from rnnkit.core.task import Task
    from rnnkit.training.record import Record

LINES = 10
"""Lines for a whole run where there is no terminal."""

WIDE = 66
"""Characters beside the count and the time that are enough for all figures and a bar."""


def shown(records: "Iterable[Record]", task: "Task", steps: int, quiet: bool) -> "Iterator[Record]":
    """Pass records on, showing how far they are."""
    if quiet:
        return iter(records)
    return _bar(records, task, steps) if sys.stderr.isatty() else _lines(records, task, steps)


def _bar(records: "Iterable[Record]", task: "Task", steps: int) -> "Iterator[Record]":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    room = console.width - len(f"step {steps}/{steps}  0:00:00 left ")
    columns = (
        TextColumn("step"),
        MofNCompleteColumn(),
        *([BarColumn(bar_width=None)] if room > WIDE else []),
        TextColumn("{task.description}"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=steps)
        for record in records:
            progress.update(bar, completed=record.step, description=_fitting(_figures(record, task), room))
            yield record


def _lines(records: "Iterable[Record]", task: "Task", steps: int) -> "Iterator[Record]":
    every = max(1, steps // LINES)
    for record in records:
        if record.step % every == 0 or record.step == steps:
            left = record.seconds / record.step * (steps - record.step)
            figures = "  ".join(_figures(record, task))
            tell(f"step {record.step}/{steps}  {figures}  {left:.0f} s left")
        yield record


def _figures(record: "Record", task: "Task") -> list[str]:
    speed = record.tokens / max(record.seconds, 1e-9)
    return [f"loss {record.loss:.4f}", f"{task.metric_name} {record.metric:.4f}", f"{speed:,.0f} tokens/s"]


def _fitting(figures: list[str], room: int) -> str:
    """Join as many of the figures as there is room for; rich would cut the last one."""
    while len(figures) > 1 and len("  ".join(figures)) > room:
        figures = figures[:-1]
    return "  ".join(figures)
