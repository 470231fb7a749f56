"""The cost model: which kind of kernel takes the least time for a step of so many rows.

    sequence   waves x max(weights / bandwidth, flops / rate) + stages x barrier
    grid       max(weights of a program / bandwidth, its flops / rate) + stages x meeting, if all programs fit at once;
               nothing is read of weights that a program holds in its registers
    steps      waves x max(the same) + stages x launch

A program is a block of rows, and in the latter two a block of units too. The figures are those of an H100 by its data
sheet and by what others have measured of launches and barriers; none was measured here. They decide about speed alone.
No kernel is asked about what it spills: its form is settled so that it spills nothing, see `form`.
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

BARRIER, MEETING, LAUNCH = 50.0, 1500.0, 2000.0
"""Nanoseconds for a program to wait for itself, for all others, and for the next launch of a recorded graph."""


class Choice(NamedTuple):
    """A kind of kernel, its tiles, and how many programs share the units of a row."""

    kind: str
    tiles: Tiles
    units: int
    holds_weights: bool = False
    """Whether each program keeps its part of the weights on chip."""


class Offered(NamedTuple):
    """What there is to choose from."""

    tiles: Tiles
    grid_tiles: Tiles
    holds_weights: bool
    """Whether a program of the grid can keep one block of columns on chip."""


def time_of(choice: Choice, work: StepWork, batch: int, processors: int) -> float:
    """Return the nanoseconds of a step; infinite where programs that wait for each other do not fit at once."""
    programs = choice.tiles.programs(batch) * choice.units
    share = 1 / choice.units
    flops = 2 * choice.tiles.rows * (work.weight_bytes / work.itemsize + work.pointwise) * share
    read = 0.0 if choice.holds_weights else work.weight_bytes * share
    program = max(read / BANDWIDTH, flops / RATES[work.itemsize])
    if choice.kind == GRID:
        return program + work.stages * MEETING if programs <= processors else float("inf")
    between = BARRIER if choice.kind == SEQUENCE else LAUNCH
    return ceil(programs / processors) * program + work.stages * between


def is_crowded(choice: Choice, work: StepWork) -> bool:
    """Tell whether programs of a grid have several blocks of units each, for which they read weights at every step."""
    return choice.kind == GRID and choice.units * choice.tiles.units < work.width


def choose(kind: str | None, work: StepWork, offered: Offered, batch: int, processors: int) -> Choice:
    """Return the fastest choice, of one kind if that is wanted; a grid that does not fit has fewer programs a row."""
    wanted = [choice for choice in _choices(work, offered, batch, processors) if kind in (None, choice.kind)]
    return min(wanted, key=lambda choice: time_of(choice, work, batch, processors))


def ranked(work: StepWork, offered: Offered, batch: int, processors: int) -> list[Choice]:
    """Return a choice of each kind that runs so many rows, the fastest first."""
    times = {choice: time_of(choice, work, batch, processors) for choice in _choices(work, offered, batch, processors)}
    return sorted((choice for choice, time in times.items() if time < float("inf")), key=lambda choice: times[choice])


def _choices(work: StepWork, offered: Offered, batch: int, processors: int) -> list[Choice]:
    """Return a choice of each kind."""
    tiles, grid = offered.tiles, offered.grid_tiles
    blocks = max(1, ceil(work.width / grid.units))
    fitting = max(1, min(blocks, processors // max(1, grid.programs(batch))))
    return [
        Choice(SEQUENCE, tiles, 1),
        Choice(GRID, grid, fitting, offered.holds_weights and fitting == blocks),
        Choice(STEPS, tiles, max(1, ceil(work.width / tiles.units))),
    ]
