"""Printing: tables and JSON lines to stdout, progress and warnings to stderr."""

import json
import logging
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, Any

import click

from rnnkit.cli.columns import Column, fitted, wrapped
from rnnkit.cli.streams import echo, encodable, tell

if TYPE_CHECKING:
    from rich.console import Console

json_option = click.option("--json", "as_json", is_flag=True, allow_from_autoenv=False, help="Print JSON lines.")


def print_json(value: Any) -> None:
    """Print one value as one line of JSON; figures that JSON lacks (nan, inf) become null.

    Characters that stdout's encoding lacks are written as JSON escapes them, so that none is lost.
    """
    plain = _finite(value)
    text = json.dumps(plain, ensure_ascii=False)
    echo(text if encodable(text) else json.dumps(plain))


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Sequence[str] = (),
    less: Sequence[str] = (),
    keep: Sequence[str] = (),
    *,
    aside: bool = False,
) -> None:
    """Print a table without frames, as wide as the terminal at most; a pipe has no width but what COLUMNS says.

    Where there is no room, text is folded, then columns are left out, and it is said which; figures are never cut.

    Args:
        headings: of the columns.
        rows: a text for each column.
        right: headings of the columns that hold figures.
        less: headings of columns that are left out first; then from the last one on.
        keep: headings of columns that are left out last; the first column is shortened before that.
        aside: print to stderr, where stdout is for the data.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = list(zip(*rows, strict=True)) or [()] * len(headings)
    columns = [Column(h, list(texts), h in right) for h, texts in zip(headings, cells, strict=True)]
    console = _console(aside)
    shown, hidden = fitted(columns, console.width, less, keep)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in shown:
        justify = "right" if column.number else "left"
        table.add_column(Text(column.heading), justify=justify, no_wrap=column.number, overflow="fold")  # type: ignore[arg-type]
    for texts in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*map(Text, texts))
    # On a sheet first, since rich answers in its own way for a reader that has left.
    encoding = getattr(sys.stderr if aside else sys.stdout, "encoding", None) or "utf-8"
    sheet = TextIOWrapper(BytesIO(), encoding, "replace", newline="")
    _of_width(console.width, file=sheet, force_terminal=console.is_terminal).print(table)
    sheet.seek(0)
    (tell if aside else echo)("\n".join(line.rstrip() for line in sheet.read().removesuffix("\n").split("\n")))
    if hidden:
        echo_wrapped(
            f"{len(hidden)} of {len(columns)} columns hidden for want of width ({', '.join(hidden)}); "
            "a wider terminal or --json shows them",
            aside=aside,
        )


def echo_wrapped(text: str, *, aside: bool = False) -> None:
    """Write text to stdout, or aside to stderr, folded to the terminal; a pipe has no width but what COLUMNS says."""
    width = _console(aside).width
    (tell if aside else echo)(text if width == ENDLESS else wrapped(text, width))


def _console(aside: bool = False) -> "Console":
    """Return stdout as rich sees it, or stderr: as wide as COLUMNS says, or else the terminal; a pipe never folds."""
    from rich.console import Console

    console = Console(highlight=False, stderr=aside)
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return _of_width(int(told))
    if not console.is_terminal:
        return _of_width(ENDLESS)
    if console.is_dumb_terminal:  # which rich takes to be 80 wide, whatever it is
        return _of_width(_width_of(console.file.fileno()), stderr=aside)
    return console


def _of_width(width: int, **options: Any) -> "Console":
    """Return a console that is so wide; rich takes a width for granted only beside a height."""
    from rich.console import Console

    return Console(highlight=False, width=width, height=HEIGHT, **options)


def _width_of(number: int) -> int:
    try:
        return os.get_terminal_size(number).columns or USUAL
    except OSError:
        return USUAL


USUAL = 80
ENDLESS = 100_000
"""The width of what has none."""

HEIGHT = 25
"""Lines of a page, on which nothing depends."""


@contextmanager
def warnings_told() -> Iterator[None]:
    """Print what rnnkit has to say to its log, a line each, on stderr; to who waits at a terminal what it waits for."""
    waits = sys.stderr is not None and sys.stderr.isatty()
    logger, handler = logging.getLogger("rnnkit"), _Told(logging.INFO if waits else logging.WARNING)
    level = logger.level
    logger.addHandler(handler)
    if waits:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _Told(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tell(f"rnnkit: {' '.join(record.getMessage().split())}")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
