"""The progress of a training: a bar on a terminal or in a notebook."""

import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rnnkit.errors import check_whole
from rnnkit.support.bars import moves_cursor, new_bar

if TYPE_CHECKING:
    from rich.console import Console

    from rnnkit.training.record import Record

WIDE = 74
"""Characters beside the count and the time that are enough for all figures and a bar."""


def progress(records: "Iterable[Record]", steps: int, metric_name: str = "metric") -> "Iterator[Record]":
    """Pass the records of a training on, showing how far it is: a bar on a terminal and in Jupyter, elsewhere nothing.

    In Jupyter the bar needs the extra `notebook`.

    Args:
        records: what `rnnkit.train` yields.
        steps: updates that it takes.
        metric_name: what the task calls its metric: `task.metric_name`.

    Raises:
        UsageError: `steps` is no whole number above zero.
    """
    from rich.console import Console

    check_whole("steps", steps)
    console = Console(stderr=True)
    if console.is_jupyter and find_spec("ipywidgets") is None:
        print("no progress bar: pip install 'rnnkit[notebook]'", file=sys.stderr)
        return iter(records)
    shows = console.is_jupyter or moves_cursor(sys.stderr)
    return bar(records, steps, metric_name, console) if shows else iter(records)


def bar(records: "Iterable[Record]", steps: int, metric_name: str, console: "Console") -> "Iterator[Record]":
    """Pass records on, and show a bar on a console, with figures and the time left."""
    room = console.width - len(f"step {steps}/{steps}   0:00:00 left ")
    with new_bar(console, drawn=room > WIDE) as shown:
        row = shown.add_task("", total=steps, count=f"step 0/{steps}")
        for record in records:
            words = _fitting(figures(record, metric_name), room)
            shown.update(row, completed=record.step, description=words, count=f"step {record.step}/{steps}")
            yield record


def figures(record: "Record", metric_name: str) -> list[str]:
    """Return what is shown of a record: loss, metric and speed."""
    speed = record.tokens / max(record.seconds, 1e-9)
    return [f"loss {record.loss:.4f}", f"{metric_name} {record.metric:.4f}", f"{speed:,.0f} tokens/s"]


def _fitting(texts: list[str], room: int) -> str:
    """Join as many of the figures as there is room for; rich would cut the last one."""
    while len(texts) > 1 and len("  ".join(texts)) > room:
        texts = texts[:-1]
    return "  ".join(texts)
