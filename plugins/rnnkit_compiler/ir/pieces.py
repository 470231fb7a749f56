"""Pieces of an inner axis: a row of (outer, size, inner) elements cut, or joined, along its middle.

Slices and joins are of neighbours. Where all pieces are equal, the elements are brought into an order in which each
piece is one, and back. Others are windows: [start, stop) of the axis, with zeros where that reaches beyond it. The
derivative of a window is one that looks the other way.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from typing import NamedTuple

from rnnkit_compiler.ir.contraction import Term, einsum
from rnnkit_compiler.ir.graph import Node

OUTER, BLOCK, WITHIN = 0, 1, 2
"""Axes: before the one that is cut; the pieces of it; within a piece."""


class Row(NamedTuple):
    """A row, and how many elements it has before, along and behind the axis that is cut."""

    node: Node
    outer: int
    size: int
    inner: int

    @property
    def width(self) -> int:
        """How many elements the row has."""
        return self.outer * self.size * self.inner

    def piece(self, k: int, start: int, stop: int) -> Node:
        """Return [start, stop) of the axis, at one place of the outer ones."""
        begin = (k * self.size + start) * self.inner
        return self.node.graph.slice(self.node, begin, (stop - start) * self.inner)


def cut(row: Row, start: int, stop: int) -> Node:
    """Return [start, stop) of the axis, which is within it."""
    node, outer, size, inner = row
    length = stop - start
    if node.width == 1 or length == size:
        return node
    if outer == 1 or _is_joined(node, outer):
        return node.graph.concat([row.piece(k, start, stop) for k in range(outer)])
    if size % length or start % length:
        return window(row, start, stop)
    pieces = _ordered(node, (OUTER, BLOCK, WITHIN), (BLOCK, OUTER, WITHIN), (outer, size // length, length * inner))
    return node.graph.slice(pieces, start * outer * inner, length * outer * inner)


def join(rows: Sequence[Row]) -> Node:
    """Put rows together along the axis: all have as many elements before and behind it, and none is a single number."""
    graph, outer, inner = rows[0].node.graph, rows[0].outer, rows[0].inner
    if outer == 1:
        return graph.concat([row.node for row in rows])
    if all(_is_joined(row.node, outer) for row in rows):
        return graph.concat([row.piece(k, 0, row.size) for k in range(outer) for row in rows])
    sizes = [row.size for row in rows]
    if len(set(sizes)) == 1:
        joined = graph.concat([row.node for row in rows])
        return _ordered(joined, (BLOCK, OUTER, WITHIN), (OUTER, BLOCK, WITHIN), (outer, len(rows), sizes[0] * inner))
    starts = [0, *accumulate(sizes)]
    total = graph.number(0)
    for row, start in zip(rows, starts, strict=False):
        total = total + window(row, -start, starts[-1] - start)
    return total


def window(row: Row, start: int, stop: int) -> Node:
    """Return [start, stop) of the axis, with zeros where that is outside of it."""
    node, outer, size, inner = row
    graph, length = node.graph, stop - start
    low, high = max(start, 0), min(stop, size)
    if (start, stop) == (0, size):
        return node
    if low >= high:
        return graph.number(0)
    whole = graph.expand(node, row.width)
    if outer > 1:
        return graph.make("window", (whole,), outer * length * inner, outer, size, inner, start, stop)
    zeros = [graph.expand(graph.number(0), count * inner) if count else None for count in (low - start, stop - high)]
    pieces = (zeros[0], row._replace(node=whole).piece(0, low, high), zeros[1])
    return graph.concat([piece for piece in pieces if piece is not None])


def gradient_of_window(node: Node, gradient: Node) -> Node:
    """Return the gradient of what a window looks at."""
    outer, size, inner, start, stop = node.attr
    return window(Row(gradient, outer, stop - start, inner), -start, size - start)


def _is_joined(node: Node, outer: int) -> bool:
    """Tell whether a row is put together of `outer` pieces of equal size anyway, as products of a block each are."""
    ends = set(accumulate(operand.width for operand in node.inputs)) if node.op == "concat" else ()
    return all(k * (node.width // outer) in ends for k in range(1, outer))


def _ordered(node: Node, axes: tuple[int, ...], result: tuple[int, ...], sizes: tuple[int, ...]) -> Node:
    ordered = einsum([Term(node, axes)], result, dict(enumerate(sizes)))
    return node.graph.expand(ordered, prod(sizes))
