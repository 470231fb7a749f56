"""Progress of a training run, on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rnnkit.record import Record
    from rnnkit.task import Task

LINES = 10
"""Lines for a whole run where there is no terminal."""


def shown(records: "Iterable[Record]", task: "Task", steps: int, quiet: bool) -> "Iterator[Record]":
    """Pass records on, showing how far they are."""
    if quiet:
        return iter(records)
    return _bar(records, task, steps) if sys.stderr.isatty() else _lines(records, task, steps)


def _bar(records: "Iterable[Record]", task: "Task", steps: int) -> "Iterator[Record]":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(bar_width=None),
        TextColumn("{task.description}"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=steps)
        for record in records:
            progress.update(bar, completed=record.step, description=_figures(record, task))
            yield record


def _lines(records: "Iterable[Record]", task: "Task", steps: int) -> "Iterator[Record]":
    every = max(1, steps // LINES)
    for record in records:
        if record.step % every == 0 or record.step == steps:
            left = record.seconds / record.step * (steps - record.step)
            click.echo(f"step {record.step}/{steps}  {_figures(record, task)}  {left:.0f} s left", err=True)
        yield record


def _figures(record: "Record", task: "Task") -> str:
    speed = record.tokens / max(record.seconds, 1e-9)
    return f"loss {record.loss:.4f}  {task.metric_name} {record.metric:.4f}  {speed:,.0f} tokens/s"
