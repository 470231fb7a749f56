"""Sharing: how the workers of a kernel divide the rows of a batch and the units of a row, by a model of a step's time.

Workers that share the rows need not wait for each other, but each reads all weights. Those that share the units read
their part of the weights, and meet at every stage. In a grid of R shares of the rows times U of the units, a step takes

    rows each x multiplications x share of the units / rate + weights read / bandwidth + stages x meeting of U

where the weights are read beside the work as long as a worker's part of them stays in its second cache.
"""

from functools import lru_cache
from math import ceil
from typing import NamedTuple

from rnnkit_compiler.schedule.stages import Stages

VECTOR_BYTES = 64
"""Of the widest registers there are."""

VECTOR = 0.32
"""Nanoseconds of a vector's multiplication and addition, at the rate that products reach on one core."""

CACHE = 1 << 20
"""Bytes of a core's second cache."""

NEAR, FAR = 120.0, 20.0
"""Bytes a nanosecond from a core's second cache, and from beyond it."""

MEETING, EACH_MORE = 150.0, 30.0
"""Nanoseconds of a barrier of two workers, and what every other one adds: they count themselves one by one."""

SHARED_ROWS = 4
"""Rows that each worker has at least of a vector of units that is left over, and that they share."""

BEGINNING = 6000.0
"""Nanoseconds in which the other workers have begun."""


class Shares(NamedTuple):
    """How many workers there are, threads or programs, and how many of these share the units of a row."""

    workers: int
    units: int
    """1: every worker has whole rows."""


class StepWork(NamedTuple):
    """What a step of a kernel does."""

    width: int
    """Units of the widest of its stages."""
    weight_bytes: int
    """Of what a row is multiplied by."""
    pointwise: int
    """Numbers that pointwise operations compute for a row."""
    stages: int
    itemsize: int
    """Bytes of a number."""

    def time(self, rows: int, shares: Shares) -> float:
        """Return the nanoseconds that the busiest worker takes for a step of so many rows."""
        lanes = VECTOR_BYTES // self.itemsize
        part = self.part(shares)
        vectors = (self.weight_bytes // self.itemsize + self.pointwise) / lanes
        each = ceil(rows / (shares.workers // shares.units))
        work = each * vectors * self.computed(shares, each) * VECTOR
        read = self.weight_bytes * part
        moved = max(work, read / NEAR) if read <= CACHE else work + read / FAR
        return moved + self.stages * meeting(shares.units)

    @property
    def vectors(self) -> int:
        """Of the units of the widest stage."""
        return ceil(self.width * self.itemsize / VECTOR_BYTES)

    def part(self, shares: Shares) -> float:
        """Return of which part of the units the busiest worker reads the weights: whole vectors of them."""
        return ceil(self.vectors / shares.units) / max(1, self.vectors)

    def computed(self, shares: Shares, rows: int) -> float:
        """Return which part of the work on so many rows is the busiest worker's: some share the rows of a vector."""
        whole, left = divmod(self.vectors, shares.units)
        sharing = shares.units // left if left else 1
        if sharing < 2 or rows < (sharing + 1) * SHARED_ROWS:
            return self.part(shares)
        return (whole + 1 / sharing) / self.vectors


def step_work(stages: Stages, weights: int, itemsize: int) -> StepWork:
    """Return the work of a step.

    Args:
        stages: of it.
        weights: numbers that a row is multiplied by.
        itemsize: bytes of a number.
    """
    regions = [region for stage in stages.stages for region in stage.regions]
    pointwise = sum(len(region.nodes) * region.width for region in regions)
    width = max((region.width for region in regions), default=1)
    return StepWork(width, weights * itemsize, pointwise, len(stages.stages), itemsize)


def meeting(workers: int) -> float:
    """Return the nanoseconds of a barrier."""
    return MEETING + EACH_MORE * (workers - 2) if workers > 1 else 0.0


@lru_cache(maxsize=4096)
def best_shares(work: StepWork, steps: int, rows: int, threads: int) -> Shares:
    """Return the shares for so many steps of a batch: one worker where that is done before others have begun."""
    if threads == 1 or steps * work.time(rows, Shares(1, 1)) <= BEGINNING:
        return Shares(1, 1)
    return shares_of_a_step(work, rows, threads)


@lru_cache(maxsize=1024)
def shares_of_a_step(work: StepWork, rows: int, threads: int) -> Shares:
    """Return the shares for which a step takes the least time; of equal ones those with the fewest for the units.

    As many threads work as can: those that have no rows of a step have their part of the products of whole sequences.
    """
    grids = [Shares(threads // units * units, units) for units in range(1, threads + 1)]
    return min(grids, key=lambda shares: work.time(rows, shares))
