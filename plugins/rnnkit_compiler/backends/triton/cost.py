"""The cost model: which kind of kernel takes the least time for a step of so many rows.

    sequence   waves x max(weights / bandwidth, flops / rate) + stages x barrier
    grid       max(weights of a program / bandwidth, its flops / rate) + stages x meeting, if all programs fit at once
    steps      waves x max(the same) + stages x launch

A program is a block of rows, and in the latter two a block of units too. The figures are those of an H100 by its data
sheet and by what others have measured of launches and barriers; none was measured here. They decide about speed alone.
"""

from math import ceil
from typing import NamedTuple

from rnnkit_compiler.backends.triton.tiles import Tiles
from rnnkit_compiler.schedule.sharing import StepWork

SEQUENCE, GRID, STEPS = "sequence", "grid", "steps"
KINDS = (SEQUENCE, GRID, STEPS)
"""One launch of programs that have all units of their rows; one in which they share the units; one a stage and step."""

BANDWIDTH = 40.0
"""Bytes a nanosecond that one multiprocessor reads from the second cache."""

RATES = {2: 2000.0, 4: 200.0, 8: 100.0}
"""Floating-point operations a nanosecond of one multiprocessor, by the bytes of a number."""

BARRIER, MEETING, LAUNCH = 50.0, 1500.0, 4000.0
"""Nanoseconds for a program to wait for itself, for all others, and for the next launch."""


class Choice(NamedTuple):
    """A kind of kernel, and how many programs share the units of a row."""

    kind: str
    units: int


def time_of(choice: Choice, work: StepWork, tiles: Tiles, batch: int, processors: int) -> float:
    """Return the nanoseconds of a step; infinite where programs that wait for each other do not fit at once."""
    rows = tiles.programs(batch)
    programs = rows * choice.units
    share = 1 / choice.units
    flops = 2 * tiles.rows * (work.weight_bytes / work.itemsize + work.pointwise) * share
    program = max(work.weight_bytes * share / BANDWIDTH, flops / RATES[work.itemsize])
    if choice.kind == GRID:
        return program + work.stages * MEETING if programs <= processors else float("inf")
    between = BARRIER if choice.kind == SEQUENCE else LAUNCH
    return ceil(programs / processors) * program + work.stages * between


def choose(kind: str | None, work: StepWork, tiles: Tiles, batch: int, processors: int) -> Choice:
    """Return the fastest choice, of one kind if that is wanted; a grid that does not fit has fewer programs a row."""
    most = max(1, ceil(work.width / tiles.units))
    fitting = max(1, min(most, processors // max(1, tiles.programs(batch))))
    choices = [Choice(SEQUENCE, 1), Choice(GRID, fitting), Choice(STEPS, most)]
    wanted = [choice for choice in choices if kind in (None, choice.kind)]
    return min(wanted, key=lambda choice: time_of(choice, work, tiles, batch, processors))
