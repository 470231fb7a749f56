"""Progress of a matrix, on stderr: a bar on a terminal, nothing elsewhere."""

import sys
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

from rnnkit.support.bars import moves_cursor, new_bar

if TYPE_CHECKING:
    from rnnkit.matrix.course import Course
    from rnnkit.matrix.record import Record

NAME = 24
"""Characters of a cell's name that there is room for."""


def shown(records: "Iterable[Record | None]", course: "Course", quiet: bool) -> "Generator[Record | None]":
    """Pass records on, showing how far the matrix is."""
    if quiet or not moves_cursor(sys.stderr):
        yield from records
        return
    from rich.console import Console

    total = len(course.cases)
    with new_bar(Console(stderr=True)) as progress:
        bar = progress.add_task("", total=total, completed=len(course.found), count=f"0 of {total:,}")
        for record in records:
            done = len(course.found)
            wrong = f", {len(course.failures)} wrong" if course.failures else ""
            progress.update(bar, completed=done, count=f"{done:,} of {total:,}{wrong}")
            if record is not None:
                progress.update(bar, description=record.case.cell[:NAME].ljust(NAME))
            yield record
