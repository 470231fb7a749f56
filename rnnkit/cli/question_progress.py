"""Progress of an inspection or a measurement, on stderr: one line that changes, or a line for each question."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from rnnkit.cli.output import echo_wrapped
from rnnkit.support.bars import moves_cursor, new_bar

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
    return _line(answers, names) if moves_cursor(sys.stderr) else _lines(answers)


def _line(answers: Iterable[tuple[str, T]], names: Sequence[str]) -> Iterator[tuple[str, T]]:
    from rich.console import Console

    width = max(map(len, names))

    def texts(done: int) -> tuple[str, str]:
        at = min(done, len(names) - 1)
        return f"{at + 1} of {len(names)}", f"{names[at]:{width}}"

    count, words = texts(0)
    with new_bar(Console(stderr=True), elapsed=True) as progress:
        bar = progress.add_task(words, total=len(names), count=count)
        for done, answer in enumerate(answers, start=1):
            count, words = texts(done)
            progress.update(bar, completed=done, description=words, count=count)
            yield answer


def _lines(answers: Iterable[tuple[str, T]]) -> Iterator[tuple[str, T]]:
    began = time.perf_counter()
    for name, answer in answers:
        echo_wrapped(f"{name}: {time.perf_counter() - began:.1f} s", aside=True)
        yield name, answer
        began = time.perf_counter()
