"""Reading a table for a finished run: its own again, or another one like it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnnkit.errors import DataError
from rnnkit_tasks.forecast.frame import Frame, check_columns, known_stops, restricted
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.forecast.outliers import outliers
from rnnkit_tasks.forecast.overlap import told_back
from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.source import Reading
from rnnkit_tasks.table.table import SHOWN


def read_again(learnt: Learnt, path: Path | None, notes: list[str]) -> tuple[Reading, Frame]:
    """Return a table, and the same as numbers; what is not as it was is told.

    Args:
        learnt: of the run.
        path: of a table; None: the run's own, of which later rows are left out, as who reads the run says.
        notes: where it is told.

    Raises:
        DataError: the table is missing or unfit.
    """
    own = path is None
    source = learnt.source if path is None else learnt.source._replace(path=path, kept=True)
    reading = source.read(
        [*learnt.roles.left_out] if learnt.roles.time else (), learnt.reading, own, learnt.roles.kinds
    )
    table = reading.table
    has = ", ".join([*table.columns][:SHOWN]) + (", ..." if len(table.columns) > SHOWN else "")
    dated = learnt.roles.time if learnt.roles.calendar else []
    wanted = [*learnt.roles.inputs, *dated, *(learnt.roles.targets if own else [])]
    check_columns(reading, wanted, f"which the run reads; it has {has}{table.cut()}")
    if dated and reading.time is None:
        names = " + ".join(map(repr, dated))
        raise DataError(f"{table.source} has no times in {names}, of which the run reads the hour or day; correct them")
    if own:
        reading, stops = restricted(reading, learnt.kept, ahead=bool(learnt.ahead))
    else:
        judged = [name for name in (*learnt.roles.inputs, *learnt.roles.targets) if name not in learnt.roles.ahead]
        stops = known_stops(reading, judged) if learnt.ahead else [one.rows.stop for one in reading.series]
    if reading.time is not None and reading.time.other and not learnt.reading:
        notes.append(
            f"dates are read {reading.time.note}, and {reading.time.other} is possible too, for the run has seen none "
            "of either form; write them as 2024-01-31 if that is meant"
        )
    if not own:
        notes += told_back(reading, reading.series)
    firsts = [one.rows.start + learnt.window for one in reading.series]
    if own:
        starts = [one.rows.start for one in learnt.series]
        moved = zip(learnt.cuts, starts, reading.series, strict=True)
        firsts = [second - start + one.rows.start for (_, second), start, one in moved]
    _tell_targets(learnt, reading, list(zip(firsts, stops, strict=True)), notes)
    new = [one.name for one in reading.series if one.name and one.name not in learnt.inputs.of]
    if new:
        notes.append(f"{len(new)} series that the run has not seen, such as {new[0]!r}; the scale of all is used")
    frame = learnt.frame(reading, stops, leave=False, notes=notes)
    begins = [max(one.rows.start, first - learnt.window) for one, first in zip(reading.series, firsts, strict=True)]
    notes += outliers(learnt, reading, frame, begins)
    return reading, frame


def _tell_targets(learnt: Learnt, reading: Reading, parts: Sequence[tuple[int, int]], notes: list[str]) -> None:
    """Say which targets are not there, or not in all rows of the parts that are forecast."""
    table = reading.table
    known = np.zeros(table.rows, dtype=bool)
    for first, stop in parts:
        known[first:stop] = True
    for name in learnt.roles.targets:
        column = table.columns.get(name)
        if column is None:
            notes.append(f"{table.source} has no column {name!r}, so its forecasts are not held against the truth")
            continue
        cells = zip(column.odd_rows, column.odd_cells, strict=True)
        empty = sum(is_missing(cell) and bool(known[row]) for row, cell in cells)
        if empty:
            notes.append(f"{empty} row(s) of {name!r} are empty, and not held against a forecast")
