"""Tiles: how many rows, units and elements of a product a program works on at once.

Registers bound them. The first choice goes by an estimate of the values that a region has at hand at once; what the
compiler then says a kernel spills makes the tiles smaller, on a device and in the table of the documentation alike.
"""

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.schedule.stages import Product, Region, Stages

LEAST = 16
"""What a product takes at least, in each direction."""

LANES = 32
"""Threads of a warp."""

WARPS = 8
"""Of a program, at most; a product gives each of them eight columns or more."""

ACCUMULATORS = 4096
"""Numbers that a program adds up at once, at most: 16 registers for each of 256 threads."""

AT_HAND = 128
"""Registers of a thread for the values that are at hand at once, of 255."""


class Tiles(NamedTuple):
    """The constants of a kernel."""

    rows: int
    units: int
    depth: int
    warps: int

    def programs(self, batch: int) -> int:
        """Return how many programs have the rows of a batch."""
        return -(-batch // self.rows)

    @property
    def smaller(self) -> Iterator["Tiles"]:
        """The tiles to try next where a kernel spills: less of a product at once, more threads, fewer units."""
        tiles = self
        if tiles.depth > LEAST:
            tiles = tiles._replace(depth=LEAST)
            yield tiles
        if tiles.warps < WARPS:
            tiles = tiles._replace(warps=WARPS)
            yield tiles
        while tiles.units > LEAST:
            tiles = tiles._replace(units=tiles.units // 2)
            yield tiles


def tiles_of(stages: Stages, itemsize: int) -> Tiles:
    """Choose the tiles of a kernel by its widest region: no key of a compilation holds the batch."""
    regions = [region for stage in stages.stages for region in stage.regions]
    blocks = max((sum(len(p.blocks) for p in region.products) for region in regions), default=0)
    deepest = max((product.depth for product in products_of(stages)), default=1)
    most = max(LEAST, min(128, ACCUMULATORS * 4 // itemsize // LEAST // max(1, blocks)))
    units = max(LEAST, min(power_of_two(widest(stages)), power_of_two(most, down=True)))
    at_hand = max((values_at_hand(region) for region in regions), default=0) * itemsize // 4
    while units > 64 and at_hand * LEAST * units // (LANES * WARPS) > AT_HAND:
        units //= 2
    return Tiles(LEAST, units, max(LEAST, min(power_of_two(deepest), 32)), warps_for(units))


def grid_tiles(stages: Stages, itemsize: int, processors: int) -> Tiles:
    """Choose the tiles of a kernel whose programs share the units of a row: as few units as there are programs for."""
    first = tiles_of(stages, itemsize)
    units = LEAST
    while units < first.units and ceil(widest(stages) / units) > processors:
        units *= 2
    return first._replace(units=units, warps=WARPS)


def products_of(stages: Stages) -> list[Product]:
    """List the products of rows by columns of weights."""
    return [product for stage in stages.stages for region in stage.regions for product in region.products]


def widest(stages: Stages) -> int:
    """Return the units of the widest region."""
    return max((region.width for stage in stages.stages for region in stage.regions), default=1)


def values_at_hand(region: Region) -> int:
    """Return how many values a region has at hand at once, at most, in the order in which it computes them."""
    order: list[Node] = [block.node for product in region.products for block in product.blocks]
    order += region.nodes
    last = {
        operand: k for k, node in enumerate(order) for operand in node.inputs if k >= len(order) - len(region.nodes)
    }
    last |= {store.node: len(order) for store in region.stores}
    first: dict[Node, int] = {}
    for k, node in enumerate(order):
        for value in (*node.inputs, node):
            first.setdefault(value, k)
    spans = [(first.get(node, 0), until) for node, until in last.items() if node.op != "number"]
    return max((sum(begin <= k <= until for begin, until in spans) for k in range(len(order) + 1)), default=0)


def warps_for(units: int) -> int:
    """Return the warps for a block of units: eight columns of a product for each, as far as that goes."""
    return max(1, min(WARPS, units // 8))


def power_of_two(number: int, down: bool = False) -> int:
    """Return the next power of two that is not smaller; or not larger, if `down`."""
    return 1 << (number.bit_length() - 1 if down else (number - 1).bit_length())
