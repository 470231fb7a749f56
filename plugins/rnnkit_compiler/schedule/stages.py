"""The stages of a step: what can be computed unit by unit without waiting for another unit of the same row.

A stage begins with numbers that hold for a whole row (sums, maxima, and what follows from them), then goes through the
units block by block: products with the weights' columns of that block, and the pointwise operations on their results
while they are still in the first cache. A product reads whole rows, so what it reads ends the stage before it.

Two passes find them: `timing` says in which stage each node can be computed, first to last; `assignment` then says what
each stage has to do and to store, last to first, since later stages ask earlier ones for what they read.

An LSTM of 16 units, whose projection (64 numbers) is part 0, as the passes see it::

    %2: product(state 0, matrix 0)      64 numbers, of which every use is a slice, one for each gate
    %4: sigmoid(%2[0:16] + part0[0:16])              i
    %5: sigmoid(%2[16:32] + part0[16:32])            f
    %6: tanh(%2[32:48] + part0[32:48])               g
    %7: sigmoid(%2[48:64] + part0[48:64])            o
    %8: %5 * state1 + %4 * %6                        next state 1
    %9: %7 * tanh(%8)                                next state 0, and the output

Timing. State and part are there before the step: ready at stage 0. The product reads a whole row of state 0, which is
ready at 0, so each of its slices is computed in stage 0. All other nodes are pointwise and of 16 units: unit j of each
needs unit j of its operands alone, so they wait for nothing and are computed in stage 0 too. Forward is one stage.

Assignment. Stage 0 has to store next states 0 and 1 and the output: one region of 16 units. Going back from what it
stores, it collects the pointwise nodes, and one product of state 0 with four column blocks of matrix 0, one a gate. A
layer norm of the gates would need a sum over all 16 units of %2 before any of them goes on: the sum can be computed in
stage 1 at the earliest. Stage 1 reads %2, so stage 0 is asked to store it in a temporary buffer.

Backward is two stages: first the gradients of the four gates, unit by unit, which are stored (grad_product 0); they are
whole at stage 1, where their product with the transposed matrix gives the gradient of the state before.
"""

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


class Product(NamedTuple):
    """The column blocks that the rows of one buffer are multiplied by in one region."""

    operand: Place
    blocks: tuple[ColumnBlock, ...]


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
    regions: list[Region] = field(default_factory=list)


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
