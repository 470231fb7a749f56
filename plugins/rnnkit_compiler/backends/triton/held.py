"""Weights that stay on chip: which columns a program of a `grid` keeps in its registers over all steps, and how.

The columns of a product lie in stacks of as many layers as a program has warps, so that each warp has a layer of its
own: a block of columns each, as the gates of an LSTM; where there are fewer blocks than warps, a piece of the depth of
one. A product of the stack with rows that lie likewise is then one product of a layer for each warp.
"""

from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import NamedTuple

from rnnkit_compiler.backends.triton.tiles import LANES, LEAST, WARPS, Tiles, power_of_two, products_of
from rnnkit_compiler.schedule.stages import ColumnBlock, Product, Stages

MOST_REGISTERS = 128
"""Of a thread, for weights."""


class Stack(NamedTuple):
    """Column blocks of one matrix, equally far apart, and into how many pieces each is cut along its depth."""

    blocks: tuple[ColumnBlock, ...]
    pieces: int

    @property
    def depth(self) -> int:
        """How many elements of a row a layer reads, up to a power of two."""
        return max(LEAST, power_of_two(self.blocks[0].depth) // self.pieces)

    @property
    def layers(self) -> int:
        """How many there are, up to a power of two."""
        return power_of_two(len(self.blocks)) * self.pieces

    @property
    def apart(self) -> int:
        """How many columns one block begins behind another."""
        return self.blocks[1].offset - self.blocks[0].offset if len(self.blocks) > 1 else 0


def stacks_of(product: Product) -> Iterator[Stack]:
    """Put the column blocks of a product into stacks."""
    for _, group in groupby(product.blocks, lambda block: (block.matrix, block.transposed)):
        blocks = tuple(group)
        starts = [block.offset for block in blocks]
        apart = {later - earlier for earlier, later in pairwise(starts)}
        for alike in [blocks] if len(apart) <= 1 else [(block,) for block in blocks]:
            yield Stack(alike, _pieces(alike))


def holds_weights(stages: Stages, tiles: Tiles, itemsize: int) -> bool:
    """Tell whether the columns that a program multiplies by fit its registers.

    Args:
        stages: of the kernel.
        tiles: of a program, which has one block of units.
        itemsize: bytes of a weight.
    """
    stacks = [stack for product in products_of(stages) for stack in stacks_of(product)]
    numbers = sum(stack.layers * stack.depth * tiles.units for stack in stacks)
    return 0 < numbers * itemsize // 4 <= MOST_REGISTERS * LANES * tiles.warps


def _pieces(blocks: tuple[ColumnBlock, ...]) -> int:
    return max(1, min(WARPS // power_of_two(len(blocks)), power_of_two(blocks[0].depth) // LEAST))
