"""The vector-Jacobian product of one step, in the intermediate form.

From the gradients of the output and of the next state it gives the gradients of the state before, of each part and of
each invariant vector, and for each product the gradient of its result: the gradient of the matrix itself is a sum over
time and batch of what the product read times that, which waits until all steps are done.
"""

from collections.abc import Iterable
from itertools import pairwise
from math import prod
from typing import NamedTuple

from rnnkit_compiler.ir.contraction import gradients
from rnnkit_compiler.ir.graph import Graph, Node, needed
from rnnkit_compiler.ir.kinds import CONTRACTIONS
from rnnkit_compiler.ir.lowered import Lowered
from rnnkit_compiler.ir.operations import OPERATIONS
from rnnkit_compiler.ir.pieces import gradient_of_window
from rnnkit_compiler.ir.row_sums import RowSums
from rnnkit_compiler.ir.units import peak_gradient, scan_gradients, scattered


class Deferred(NamedTuple):
    """A product whose matrix gets its gradient after the last step: the operand and the gradient of the result."""

    matrix: int
    operand: Node
    gradient: Node
    pieces: int = 1
    """Pieces of a row, of which the matrix multiplies each, or one."""

    piece: int | None = None
    """Which one; None: each."""


class Partial(NamedTuple):
    """A gradient of `width` elements of a node, from `offset` on."""

    offset: int
    width: int
    gradient: Node


class Derivative(NamedTuple):
    """The gradients of one step. A vector's is still to be summed over the rows."""

    states: list[Node]
    parts: list[Node]
    vectors: list[Node]
    deferred: list[Deferred]

    gradients: dict[Node, Node]
    """Of what the step computes, for those who read what is generated."""


def derive(step: Lowered) -> Derivative:
    """Differentiate a step."""
    graph = step.graph
    results = [step.output, *step.next_states]
    order = needed(results)
    gathered: dict[Node, list[Partial]] = {node: [] for node in order}
    gathered[step.output].append(Partial(0, step.output.width, graph.make("grad_y", (), step.output.width)))
    for k, node in enumerate(step.next_states):
        gathered[node].append(Partial(0, node.width, graph.make("grad_state", (), node.width, k)))
    sums = RowSums(graph, order)
    deferred = []
    totals: dict[Node, Node] = {}
    for node in reversed(order):
        if not gathered[node] or node.op == "number":
            continue
        gradient = totals[node] = _total(graph, sums, node, gathered[node])
        if node.op in ("state", "part", "vector"):
            continue
        if node.op == "product":
            matrix, transposed = node.attr
            deferred.append(Deferred(matrix, node.inputs[0], gradient))
            (operand,) = node.inputs
            _add(gathered, operand, graph.product(gradient, matrix, operand.width, not transposed))
        elif node.op == "products":
            matrices, transposed, count = node.attr
            (operand,) = node.inputs
            each = [(matrices, None)] if isinstance(matrices, int) else zip(matrices, range(count), strict=True)
            deferred += [Deferred(matrix, operand, gradient, count, piece) for matrix, piece in each]
            _add(gathered, operand, graph.products(gradient, matrices, operand.width // count, count, not transposed))
        elif node.op == "backward":
            for operand, contribution in zip(node.inputs, step.answers[node.attr[0]](gradient), strict=True):
                _add(gathered, operand, graph.expand(contribution, operand.width))
        else:
            _pass_on(graph, node, gradient, gathered)

    def of(op: str, widths: Iterable[int]) -> list[Node]:
        nodes = (graph.make(op, (), width, k) for k, width in enumerate(widths))
        return [totals.get(leaf, graph.number(0)) for leaf in nodes]

    return Derivative(
        of("state", step.state_widths),
        of("part", step.part_widths),
        of("vector", (prod(invariant.shape) for invariant in step.vectors)),
        deferred,
        totals,
    )


def _pass_on(graph: Graph, node: Node, gradient: Node, gathered: dict[Node, list[Partial]]) -> None:
    """Hand a gradient on to the operands."""
    operands = node.inputs
    if node.op == "slice":
        gathered[operands[0]].append(Partial(node.attr[0], node.width, gradient))
    elif node.op == "concat":
        offset = 0
        for operand in operands:
            # an operand of width 1 is one element of the whole, and its gradient that element's
            _add(gathered, operand, graph.slice(graph.expand(gradient, node.width), offset, operand.width))
            offset += operand.width
    elif node.op == "expand":
        _add(gathered, operands[0], graph.sum(gradient, node.width))
    elif node.op == "sum":
        _add(gathered, operands[0], graph.expand(gradient, operands[0].width))
    elif node.op in CONTRACTIONS:
        for operand, contribution in zip(operands, gradients(node, gradient), strict=True):
            _add(gathered, operand, graph.expand(contribution, operand.width))
    elif node.op == "window":
        _add(gathered, operands[0], gradient_of_window(node, gradient))
    elif node.op == "gather":
        _add(gathered, operands[0], scattered(gradient, node.attr[0], operands[0].width))
    elif node.op == "peak":
        _add(gathered, operands[0], peak_gradient(gradient, node))
    elif node.op == "scan":
        for operand, contribution in zip(operands, scan_gradients(gradient, node), strict=True):
            narrow = operand.width < node.width
            _add(gathered, operand, graph.sum(contribution, node.width) if narrow else contribution)
    elif node.op in ("max", "min"):
        hit = operands[0].eq(node)
        _add(gathered, operands[0], hit * (gradient / graph.sum(hit, operands[0].width)))
    else:
        contributions = OPERATIONS[node.op].vjp(gradient, node, *operands)
        for operand, contribution in zip(operands, contributions, strict=True):
            if contribution is None or operand.op == "number":
                continue
            if operand.width < node.width:
                contribution = graph.sum(contribution, node.width)
            _add(gathered, operand, contribution)


def _add(gathered: dict[Node, list[Partial]], node: Node, gradient: Node) -> None:
    if node in gathered:
        gathered[node].append(Partial(0, node.width, gradient))


def _total(graph: Graph, sums: RowSums, node: Node, partials: list[Partial]) -> Node:
    """Add up gradients, of which some are of some elements of the node only."""
    cuts = sorted(
        {cut for partial in partials for cut in (partial.offset, partial.offset + partial.width)} | {0, node.width}
    )
    joined = []
    for start, stop in pairwise(cuts):
        total = graph.number(0)
        for partial in partials:
            if partial.offset <= start and stop <= partial.offset + partial.width:
                total = sums.add(total, graph.slice(partial.gradient, start - partial.offset, stop - start))
        joined.append(graph.expand(total, stop - start))
    return graph.concat(joined)
