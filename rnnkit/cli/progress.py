"""Progress of a training run, on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rnnkit.cli.output import echo_wrapped
from rnnkit.support.bars import moves_cursor

if TYPE_CHECKING:
    from rnnkit.core.task import Task
    from rnnkit.training.record import Record

LINES = 10
"""Lines for a whole run where there is no terminal."""


def shown(records: "Iterable[Record]", task: "Task", steps: int, quiet: bool) -> "Iterator[Record]":
    """Pass records on, showing how far they are."""
    from rich.console import Console

    from rnnkit.training.progress_bar import bar

    if quiet:
        return iter(records)
    if moves_cursor(sys.stderr):
        return bar(records, steps, task.metric_name, Console(stderr=True))
    return _lines(records, task, steps)


def _lines(records: "Iterable[Record]", task: "Task", steps: int) -> "Iterator[Record]":
    from rnnkit.training.progress_bar import figures

    every = max(1, steps // LINES)
    for record in records:
        if record.step % every == 0 or record.step == steps:
            left = record.seconds / record.step * (steps - record.step)
            echo_wrapped(
                f"step {record.step}/{steps}  {'  '.join(figures(record, task.metric_name))}  {left:.0f} s left",
                aside=True,
            )
        yield record
