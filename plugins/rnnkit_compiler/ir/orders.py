"""Orders: the rank of each element along an axis of a row, which is how many come before it.

    ranks a     the rank of each element of a among the `size` along its middle axis, of (outer, size, inner) elements

A NaN is larger than any number. Which of equal elements comes first is a matter of how they are put in order, and it is
seen in the places of those that are chosen: torch leaves it open, and does the same each time. On a CPU it is what the
algorithm makes of them, so a kernel there runs the same. Where all are compared with each at once, equal ones come in
a fixed turn.
"""

from enum import StrEnum
from typing import NamedTuple

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.pieces import Row
from rnnkit_compiler.ir.units import Units


class Manner(StrEnum):
    """How elements are put in order: by which of torch's algorithms."""

    STABLE = "stable"
    """Equal ones come by their places."""

    SORT = "sort"
    """All of them; equal ones come as they come."""

    TOPK = "topk"
    """The first `wanted` of them."""

    TOP = "top"
    """The first `wanted` of them, among themselves in any order."""

    KTHVALUE = "kthvalue"
    """The last one of the first `wanted`; those before it and behind it in any order."""


class Order(NamedTuple):
    """An order of elements. The rank of what is not wanted may be any that is not wanted either."""

    manner: Manner
    falls: bool
    """Whether the largest comes first."""

    wanted: int
    """How many are asked for, from the first one on."""

    turns: Units
    """When each of the elements comes where all are equal."""


def ranks(row: Row, order: Order) -> Node:
    """Return the rank of each element of a row along its middle axis."""
    graph, (node, outer, size, inner) = row.node.graph, row
    if size == 1:
        return graph.number(0)
    whole = graph.expand(node, row.width)
    return graph.make("ranks", (whole,), row.width, *order[:2], outer, size, inner, *order[2:]).stop()
