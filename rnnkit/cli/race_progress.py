"""Progress of a race, on stderr: a bar on a terminal, a line for each training elsewhere."""

import sys
import time
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

from rnnkit.cli.output import echo_wrapped
from rnnkit.support.bars import moves_cursor, new_bar

if TYPE_CHECKING:
    from rnnkit.racing.course import Course, Status
    from rnnkit.racing.trial import Result


def shown(statuses: "Iterable[Status]", course: "Course", quiet: bool) -> "Generator[Status]":
    """Pass statuses on, showing how far the race is."""
    if quiet:
        return (status for status in statuses)
    return _bar(statuses, course) if moves_cursor(sys.stderr) else _lines(statuses, course)


def _bar(statuses: "Iterable[Status]", course: "Course") -> "Generator[Status]":
    from rich.console import Console

    with new_bar(Console(stderr=True)) as progress:
        bar = progress.add_task("", count="")
        for status in statuses:
            count = f"training {status.trainings} of {course.settings.trainings}"
            progress.update(bar, completed=status.steps, total=status.total, count=count)
            yield status


def _lines(statuses: "Iterable[Status]", course: "Course") -> "Generator[Status]":
    began, first = time.monotonic(), None
    for status in statuses:
        first = status.steps if first is None else first
        if status.result is not None:
            taken = status.steps - first
            left = (time.monotonic() - began) / max(1, taken) * (status.total - status.steps)
            count = f"{status.trainings} of {course.settings.trainings}"
            echo_wrapped(f"{count}  {_words(status.result, course)}  {left:.0f} s left", aside=True)
        yield status


def _words(result: "Result", course: "Course") -> str:
    use = "tuning" if result.tuning else "ranking"
    metric = f"{course.task.metric_name} {result.metric[-1]:.4g}" if result.finished else result.outcome
    return f"{result.label}  {use}  lr {result.lr:g}  seed {result.seed}  {metric}"
