"""What runs along an axis of a row: running sums and products, and running extremes."""

from collections.abc import Callable
from functools import reduce

from rnnkit_compiler.ir.contraction import Term, einsum, multiplied
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.along import Along
from rnnkit_compiler.ir.rules.pointwise import finite
from rnnkit_compiler.ir.rules.reductions import operand, reduced
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.units import gather, peak, scan, shifted
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=False)

MOST_RUNS = 32
"""Of a row, each of which has a loop of its own."""

FEW_FACTORS = 8
"""Up to which they are multiplied one by one."""

Running = Callable[[Node, int], Node]
"""From a row and how many units it has to a number for each of them, or to one for all."""


def _runs(row: Along, running: Running) -> Node:
    """Go along an axis at each place of the others; the axis of what has one number for all is left out."""
    (axis,), graph = row.along, row.value.node.graph
    length = row.count
    count = row.value.width // length
    if count > MOST_RUNS:
        raise NotLowerable(f"{count} running values side by side in a row have no counterpart")
    if count == 1:
        return running(row.node, length)
    turned = graph.expand(einsum([Term(row.node, row.axes)], (*row.left, axis), row.sizes), row.value.width)
    pieces = [running(graph.slice(turned, k * length, length), length) for k in range(count)]
    if pieces[0].width == 1 and length > 1:
        return graph.concat(pieces)
    return einsum([Term(graph.concat(pieces), (*row.left, axis))], row.axes, row.sizes)


def _scanned(lowering: Lowering, call: Call, running: Running) -> Value:
    row = operand(lowering, call)
    return row.value.like(_runs(row, running))


@TABLE.rule("cumsum")
def _cumsum(lowering: Lowering, call: Call) -> Value:
    return _scanned(lowering, call, lambda node, width: scan(node.graph.number(1), node, width))


@TABLE.rule("cumprod")
def _cumprod(lowering: Lowering, call: Call) -> Value:
    return _scanned(lowering, call, _running_product)


def _running_product(node: Node, width: int) -> Node:
    """Return the products of each unit and those before it."""
    return scan(node, node.graph.number(0), width, start=1.0)


def _product(row: Along) -> Node:
    """Multiply the few elements along an axis, all places of the others at once."""
    node, length, width = row.node, row.count, row.value.width
    turned = node.graph.expand(einsum([Term(node, row.axes)], (*row.left, *row.along), row.sizes), width)
    return reduce(multiplied, (gather(turned, range(k, width, length)) for k in range(length)))


@TABLE.rule("prod")
def _prod(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    if row.count <= FEW_FACTORS and len(row.along) == 1:
        return reduced(lowering, call, row, _product(row))

    def last(node: Node, width: int) -> Node:
        return node.graph.slice(_running_product(node, width), width - 1, 1)

    return reduced(lowering, call, row, _runs(row, last))


@TABLE.rule("cummax", "cummin")
def _running_extreme(lowering: Lowering, call: Call) -> list[Value | None]:
    def running(node: Node, width: int) -> Node:
        return peak(node, width) if call.base_name == "cummax" else -peak(-node, width)

    read = (number for other in lowering.split.core for number in other.reads)
    if call.outputs[1] in (*read, lowering.recording.output, *lowering.recording.next_states):
        raise NotLowerable(f"the places that {call.base_name} finds have no counterpart")
    return [_scanned(lowering, call, running), None]


@TABLE.rule("logcumsumexp")
def _logcumsumexp(lowering: Lowering, call: Call) -> Value:
    def running(node: Node, width: int) -> Node:
        top = finite(peak(node, width)).stop()  # of those up to each: what is taken off, so that none overflows
        fall = (shifted(top, width, -1) - top).exp()
        return top + scan(fall, (node - top).exp(), width).log()

    return _scanned(lowering, call, running)
