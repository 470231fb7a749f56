"""Progress of a race, on stderr: a bar on a terminal, a line for each training elsewhere."""

import sys
import time
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

from rnnkit.cli.streams import tell

if TYPE_CHECKING:
    from rnnkit.racing.course import Course, Status
    from rnnkit.racing.trial import Result


def shown(statuses: "Iterable[Status]", course: "Course", quiet: bool) -> "Generator[Status]":
    """Pass statuses on, showing how far the race is."""
    if quiet:
        return (status for status in statuses)
    return _bar(statuses, course) if sys.stderr.isatty() else _lines(statuses, course)


def _bar(statuses: "Iterable[Status]", course: "Course") -> "Generator[Status]":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=120) as progress:
        bar = progress.add_task("")
        for status in statuses:
            words = f"training {status.trainings} of {course.settings.trainings}"
            progress.update(bar, completed=status.steps, total=status.total, description=words)
            yield status


def _lines(statuses: "Iterable[Status]", course: "Course") -> "Generator[Status]":
    began, first = time.monotonic(), None
    for status in statuses:
        first = status.steps if first is None else first
        if status.result is not None:
            taken = status.steps - first
            left = (time.monotonic() - began) / max(1, taken) * (status.total - status.steps)
            count = f"{status.trainings} of {course.settings.trainings}"
            tell(f"{count}  {_words(status.result, course)}  {left:.0f} s left")
        yield status


def _words(result: "Result", course: "Course") -> str:
    use = "tuning" if result.tuning else "ranking"
    metric = f"{course.task.metric_name} {result.metric[-1]:.4g}" if result.finished else result.outcome
    return f"{result.label}  {use}  lr {result.lr:g}  seed {result.seed}  {metric}"
