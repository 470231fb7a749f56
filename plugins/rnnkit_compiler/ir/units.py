"""Units of a row in another order, and running sums and products along them.

    gather a     unit j is unit indices[j] of a, or 0 where that is -1
    scan a, b    unit j is a[j] * y + b[j], where y is the unit before it, or `start`; from the last unit if `reverse`
    peak a       unit j is the largest of the units of a up to j

The first two are closed under derivation: of a gather by a sum of gathers, of a scan by one from the other end.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnkit_compiler.ir.graph import Node

NONE = -1
"""In place of a unit: nothing, which is 0."""

FEW = 4
"""Copies of a unit up to which their gradients are added up one by one."""


class Units(tuple[int, ...]):
    """Numbers of units, which print in short."""

    def __str__(self) -> str:
        shown = [*self] if len(self) <= 8 else [*self[:4], "...", self[-1]]
        return f"[{' '.join(map(str, shown))}]"

    @property
    def copies(self) -> int:
        """How often the most frequent unit occurs."""
        return max((len(places) for places in self.places.values()), default=0)

    @property
    def places(self) -> dict[int, list[int]]:
        """Where each unit occurs."""
        places: dict[int, list[int]] = {}
        for place, unit in enumerate(self):
            if unit != NONE:
                places.setdefault(unit, []).append(place)
        return places


def gather(node: "Node", indices: Sequence[int]) -> "Node":
    """Return the units of a node in another order, some of them left out, repeated or 0."""
    graph, units = node.graph, Units(indices)
    if node.op == "gather":
        inner = node.attr[0]
        return gather(node.inputs[0], [NONE if unit == NONE else inner[unit] for unit in units])
    first, count = units[0], len(units)
    if NONE not in units:
        if node.width == 1 or node.op == "expand":
            return graph.expand(node.inputs[0] if node.op == "expand" else node, count)
        if units == tuple(range(first, first + count)):
            return graph.slice(node, first, count)
    if all(unit == NONE for unit in units):
        return graph.expand(graph.number(0), count)
    return graph.make("gather", (node,), count, units)


def scattered(gradient: "Node", indices: Units, width: int) -> "Node":
    """Return the gradient of the operand, of `width` units, of a gather with this gradient."""
    graph, places = gradient.graph, indices.places
    gradient = graph.expand(gradient, len(indices))
    if indices.copies > FEW:
        each = [places.get(unit, []) for unit in range(width)]
        return segments(gather(gradient, [place for own in each for place in own]), [*map(len, each)])
    total = graph.number(0)
    for copy in range(indices.copies):
        back = [NONE] * width
        for unit, all_places in places.items():
            if copy < len(all_places):
                back[unit] = all_places[copy]
        total = total + gather(gradient, back)
    return total


def segments(node: "Node", lengths: Sequence[int]) -> "Node":
    """Return the sums of so many units each, one run after the other."""
    graph, width = node.graph, sum(lengths)
    begins = {sum(lengths[:k]) for k in range(len(lengths))}
    ends = [sum(lengths[: k + 1]) - 1 if length else NONE for k, length in enumerate(lengths)]
    if len(begins) == width:
        return gather(node, ends)
    ones = graph.expand(graph.number(1), width)
    goes_on = graph.make("gather", (ones,), width, Units(NONE if unit in begins else unit for unit in range(width)))
    return gather(scan(goes_on, node, width), ends)


def scan(a: "Node", b: "Node", width: int, reverse: bool = False, start: float = 0.0) -> "Node":
    """Return the running values of a * y + b along the units."""
    graph = a.graph
    if width == 1:
        return a * start + b
    return graph.make("scan", (a, graph.expand(b, width)), width, reverse, start)


def peak(node: "Node", width: int) -> "Node":
    """Return the largest of each unit and those before it, NaN from the first NaN on."""
    if width == 1:
        return node
    return node.graph.make("peak", (node.graph.expand(node, width),), width)


def peak_gradient(gradient: "Node", node: "Node") -> "Node":
    """Return the gradient of what a peak runs along: the last of equal units has it, and a NaN that of those after."""
    (given,) = node.inputs
    new = given.ne(given).maximum(given.eq(node)).stop()
    # the gradients of all that a unit is the largest of, added up from the last one back
    ahead = shifted(1 - new, node.width, 1)
    return new * scan(ahead, gradient, node.width, reverse=True)


def scan_gradients(gradient: "Node", node: "Node") -> tuple["Node", "Node"]:
    """Return the gradients of the factors and of the terms of a scan."""
    (a, _), (reverse, start), width = node.inputs, node.attr, node.width
    graph = node.graph
    ahead = shifted(a, width, 1 if not reverse else -1)
    terms = scan(ahead, gradient, width, not reverse)
    before = shifted(node, width, -1 if not reverse else 1)
    if start:
        end = [NONE] * width
        end[-1 if reverse else 0] = 0
        before = before + graph.make("gather", (graph.expand(graph.number(start), width),), width, Units(end))
    return terms * before, terms


def shifted(node: "Node", width: int, by: int) -> "Node":
    """Return the units `by` further on, 0 beyond the end; what is the same for all stays."""
    if node.width == 1:
        return node
    return gather(node, [unit if 0 <= unit < width else NONE for unit in range(by, width + by)])
