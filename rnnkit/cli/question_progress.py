"""Progress of an inspection, on stderr: one line that changes on a terminal, a line for each question elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from rnnkit.cli.streams import tell

T = TypeVar("T")


def shown(answers: Iterable[tuple[str, T]], names: Sequence[str], quiet: bool) -> Iterator[tuple[str, T]]:
    """Pass questions with their answers on, showing which one is asked.

    Args:
        answers: in the order of `names`.
        names: of all questions.
        quiet: show nothing.
    """
    if quiet:
        return iter(answers)
    return _line(answers, names) if sys.stderr.isatty() else _lines(answers)


def _line(answers: Iterable[tuple[str, T]], names: Sequence[str]) -> Iterator[tuple[str, T]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(_words(names, 0), total=len(names))
        for done, answer in enumerate(answers, start=1):
            progress.update(bar, completed=done, description=_words(names, done))
            yield answer


def _words(names: Sequence[str], done: int) -> str:
    width = max(map(len, names))
    return f"{min(done + 1, len(names))} of {len(names)}  {names[min(done, len(names) - 1)]:{width}}"


def _lines(answers: Iterable[tuple[str, T]]) -> Iterator[tuple[str, T]]:
    began = time.perf_counter()
    for name, answer in answers:
        tell(f"{name}: {time.perf_counter() - began:.1f} s")
        yield name, answer
        began = time.perf_counter()
