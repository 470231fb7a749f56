"""Pieces of an inner axis: a row of (outer, size, inner) elements cut, or joined, along its middle.

Slices and joins are of neighbours. So elements are brought into an order in which the pieces are neighbours, and back.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import gcd, prod
from typing import NamedTuple

from rnnkit_compiler.ir.contraction import Term, einsum
from rnnkit_compiler.ir.graph import Graph, Node

OUTER, BLOCK, WITHIN = 0, 1, 2
"""Axes: before the one that is cut; of the largest blocks that no cut goes through; within a block."""


class Row(NamedTuple):
    """A row, and how many elements it has before, along and behind the axis that is cut."""

    node: Node
    outer: int
    size: int
    inner: int


def cut(row: Row, start: int, stop: int) -> Node:
    """Return [start, stop) along the axis."""
    node, outer, size, inner = row
    graph, length = node.graph, (stop - start) * inner
    if node.width == 1 or (start, stop) == (0, size):
        return node
    starts = [k * size * inner + start * inner for k in range(outer)]
    if outer == 1 or _is_joined(node, outer):
        return graph.concat([graph.slice(node, first, length) for first in starts])
    block = gcd(start, stop, size)
    first = _blocks_first(node, outer, size // block, block * inner)
    offset = start // block * outer * block * inner
    return _blocks_inside(graph.slice(first, offset, outer * length), outer, (stop - start) // block, block * inner)


def join(rows: Sequence[Row]) -> Node:
    """Put rows together along the axis: all have as many elements before and behind it, and none is a single number."""
    graph, outer, inner = rows[0].node.graph, rows[0].outer, rows[0].inner
    if outer == 1:
        return graph.concat([row.node for row in rows])
    if all(_is_joined(row.node, outer) for row in rows):
        return graph.concat([_part(graph, row, k) for k in range(outer) for row in rows])
    block = gcd(*(row.size for row in rows))
    fronts = [_blocks_first(row.node, outer, row.size // block, block * inner) for row in rows]
    return _blocks_inside(graph.concat(fronts), outer, sum(row.size for row in rows) // block, block * inner)


def _part(graph: Graph, row: Row, k: int) -> Node:
    return graph.slice(row.node, k * row.size * row.inner, row.size * row.inner)


def _is_joined(node: Node, outer: int) -> bool:
    """Tell whether a row is put together of `outer` pieces of equal size anyway, as products of a block each are."""
    ends = set(accumulate(operand.width for operand in node.inputs)) if node.op == "concat" else ()
    return all(k * (node.width // outer) in ends for k in range(1, outer))


def _blocks_first(node: Node, outer: int, blocks: int, within: int) -> Node:
    return _ordered(node, (OUTER, BLOCK, WITHIN), (BLOCK, OUTER, WITHIN), (outer, blocks, within))


def _blocks_inside(node: Node, outer: int, blocks: int, within: int) -> Node:
    return _ordered(node, (BLOCK, OUTER, WITHIN), (OUTER, BLOCK, WITHIN), (outer, blocks, within))


def _ordered(node: Node, axes: tuple[int, ...], result: tuple[int, ...], sizes: tuple[int, ...]) -> Node:
    ordered = einsum([Term(node, axes)], result, dict(enumerate(sizes)))
    return node.graph.expand(ordered, prod(sizes))
