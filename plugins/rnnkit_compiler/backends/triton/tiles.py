"""Tiles: how many rows, units and elements of a product a program works on at once."""

from typing import NamedTuple

from rnnkit_compiler.schedule.stages import Stages

LEAST = 16
"""What a product takes at least, in each direction."""

ACCUMULATORS = 4096
"""Numbers that a program adds up at once, at most: 16 registers for each of 256 threads."""


class Tiles(NamedTuple):
    """The constants of a kernel."""

    rows: int
    units: int
    depth: int
    warps: int

    def programs(self, batch: int) -> int:
        """Return how many programs have the rows of a batch."""
        return -(-batch // self.rows)


def tiles_of(stages: Stages, itemsize: int) -> Tiles:
    """Choose the tiles of a kernel by its widest region: no key of a compilation holds the batch."""
    regions = [region for stage in stages.stages for region in stage.regions]
    widest = max((region.width for region in regions), default=1)
    blocks = max((sum(len(p.blocks) for p in region.products) for region in regions), default=0)
    deepest = max((p.operand.width for region in regions for p in region.products), default=1)
    most = max(LEAST, min(128, ACCUMULATORS * 4 // itemsize // LEAST // max(1, blocks)))
    units = min(power_of_two(widest), power_of_two(most, down=True))
    depth = min(power_of_two(deepest), 32)
    return Tiles(LEAST, max(LEAST, units), max(LEAST, depth), 8)


def power_of_two(number: int, down: bool = False) -> int:
    """Return the next power of two that is not smaller; or not larger, if `down`."""
    return 1 << (number.bit_length() - 1 if down else (number - 1).bit_length())
