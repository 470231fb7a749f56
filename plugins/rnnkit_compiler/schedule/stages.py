"""The stages of a step: what can be computed unit by unit without waiting for another unit of the same row.

A stage begins with numbers that hold for a whole row (sums, maxima, and what follows from them), then goes through the
units block by block: products with the weights' columns of that block, and the pointwise operations on their results
while they are still in the first cache. A product reads whole rows, so what it reads ends the stage before it.

Two passes find them: `timing` says in which stage each node can be computed, first to last; `assignment` then says what
each stage has to do and to store, last to first, since later stages ask earlier ones for what they read.

An LSTM of 16 units, as `explain` prints it, pointwise operations drawn together. Part 1 is the projection of the input,
64 numbers::

    %6  = product(state 0)                  64 numbers, of which only slices are read, one for each gate
    %20 = sigmoid(part 1[16:] + %6[16:])    the forget gate
    %22 = sigmoid(part 1[0:] + %6[0:])      the input gate
    %23 = tanh(part 1[32:] + %6[32:])       the candidate
    %26 = sigmoid(part 1[48:] + %6[48:])    the output gate
    %25 = state 1 * %20 + %22 * %23         next state 1
    %28 = %26 * tanh(%25)                   next state 0, and the output

Timing. States and parts are there before the step. The product reads whole rows of state 0, which can be done in stage
0, and so can each slice of it by itself. All other nodes are pointwise and of 16 units: unit j of each needs unit j of
its operands, so none waits for another unit, and all are in stage 0 too. Forward is one stage.

Assignment. Stage 0 has to store the next states, the output, and the gates, which backward reads: one region of 16
units. Going back from what it stores, it collects 13 pointwise operations, and one product of state 0 with four column
blocks of the matrix, one for each gate.

Backward has two stages. The gradients of the gates are pointwise and of 16 units again: stage 0. Their product with the
transposed matrix, which is the gradient of state 0, reads whole rows of them. So it is in stage 1, and stage 0 stores
them in a buffer, here grad_product 0, which the gradient of the weights wants anyway.

Had the gates a layer norm, the sum over the units of %6 could not be taken before %6 is whole: the sum is in stage 1,
and stage 1 asks stage 0 to store %6 in a temporary buffer.

What goes along axes within a row reads whole rows as a product does, but gives whole rows too: no unit of it waits for
the same unit of its operands alone. So such a node is computed before the regions of its stage, straight to where it is
stored, and is read from there one stage later; where it is to be stored in several places, the others are copies. Of 4
heads of 4 units each that attend to each other, h is state 0, 16 numbers::

    %4  = einsum(state 0, state 0, ab,cb->ac)   what each head finds in each: stage 0
    %5  = amax(%4, ab->a)                       the largest of each head, 4 numbers: stage 1
    %38 = einsum(%5, a->ab)                     repeated for the elements that it is taken off: stage 2
    %40 = exp(%4 - %38)                         pointwise, of 16 units: stage 3
    %41 = einsum(%40, ab->a)                    the sum of each head: stage 4
    %42 = einsum(%41, a->ab)                    repeated: stage 5
    %43 = %40 / %42                             stage 6
    %44 = einsum(%43, state 0, ab,bc->ac)       the heads, mixed: stage 7
    %46 = tanh(part 0 + %44)                    next state 0: stage 8

None of these stages reads weights, which are worth keeping in a cache over all rows. So the kernel goes through all of
them with some rows, then with the next: what one stage leaves to another stays in the cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.schedule.buffers import Buffer, Place, Store


class ColumnBlock(NamedTuple):
    """Columns of a matrix, as many as a region has units, and the node that rows times these columns give."""

    node: Node
    matrix: int
    transposed: bool
    offset: int
    """The first column."""

    @property
    def depth(self) -> int:
        """How many elements of a row, or of a piece of one, the product reads."""
        if self.node.op == "products":
            return int(self.node.inputs[0].width // self.node.attr[2])
        whole = self.node if self.node.op == "product" else self.node.inputs[0]
        return int(whole.inputs[0].width)


class Product(NamedTuple):
    """The column blocks that the rows of one buffer are multiplied by in one region."""

    operand: Place
    blocks: tuple[ColumnBlock, ...]

    @property
    def depth(self) -> int:
        """How many elements of a row, or of a piece of one, it reads."""
        return self.blocks[0].depth


class WholeRows(NamedTuple):
    """A node that is computed from whole rows to whole rows: a contraction, or products of pieces of the row."""

    node: Node
    operands: tuple[Place, ...]
    place: Place
    """Where it goes."""


@dataclass
class Region:
    """The units of one width in one stage: products, pointwise nodes in order, and stores."""

    width: int
    products: list[Product] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)


@dataclass
class Stage:
    """What lies between two barriers."""

    reductions: list[list[Node]] = field(default_factory=list)
    """Groups of one number a row each, in order: sums and maxima that share a loop, or a pointwise node alone."""

    row_stores: list[Store] = field(default_factory=list)
    whole: list[WholeRows] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)

    @property
    def multiplies(self) -> bool:
        """Whether it reads weights, which serve all rows."""
        return any(whole.node.op == "products" for whole in self.whole) or any(r.products for r in self.regions)

    @property
    def written(self) -> Iterator[Place]:
        """What it stores for each row, but for single numbers."""
        yield from (whole.place for whole in self.whole)
        yield from (store.place for region in self.regions for store in region.stores)


@dataclass
class Stages:
    """The stages of a step, and the buffers that carry values from one to the next."""

    stages: list[Stage]
    sources: dict[Node, Place]
    """Where each node that is not computed in place is read."""

    temporaries: dict[Buffer, int]
    """Width of each."""

    given: set[Node]
    """The sources that are there before the step."""
