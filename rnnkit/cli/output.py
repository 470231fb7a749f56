"""Printing: tables and JSON lines to stdout, progress and warnings to stderr."""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, allow_from_autoenv=False, help="Print JSON lines.")


def print_json(value: Any) -> None:
    """Print one value as one line of JSON; figures that JSON lacks (nan, inf) become null."""
    click.echo(json.dumps(_finite(value), ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print a table without frames; the columns headed by one of `right` hold numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        number = heading in right
        table.add_column(heading, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:  # a pipe has no width: break nothing
        console = Console(highlight=False, width=100_000)
    console.print(table)


@contextmanager
def warnings_told() -> Iterator[None]:
    """Print what rnnkit has to say to its log, a line each, on stderr."""
    logger, handler = logging.getLogger("rnnkit"), _Told(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Told(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"rnnkit: {' '.join(record.getMessage().split())}", err=True)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value - value != 0 else value
