"""Bars that show how far a command is: one style for all, where a terminal can draw them."""

import os
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def moves_cursor(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that can change a line, which one of TERM=dumb cannot."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def new_bar(console: "Console", *, elapsed: bool = False, drawn: bool = True) -> "Progress":
    """Return a line of count, bar, words and time; a task's field `count` and its description are the texts.

    Args:
        console: where it is shown, until it is done; in Jupyter it stays.
        elapsed: show the time so far, of what cannot be foreseen, instead of what is left.
        drawn: whether there is room for the bar itself.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    time = (
        [TimeElapsedColumn()]
        if elapsed
        else [TimeRemainingColumn(compact=True, elapsed_when_finished=True), TextColumn("left")]
    )
    columns = (
        TextColumn("{task.fields[count]}"),
        *([BarColumn(bar_width=20)] if drawn else []),
        TextColumn("{task.description}"),
        *time,
    )
    return Progress(*columns, console=console, transient=not console.is_jupyter, speed_estimate_period=120)
