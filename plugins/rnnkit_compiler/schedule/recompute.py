"""What is kept for backward, and what is computed again there from what it reads anyway."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from rnnkit_compiler.ir.contraction import equation_of
from rnnkit_compiler.ir.graph import Node, needed
from rnnkit_compiler.ir.operations import OPERATIONS

LIGHT = 2
"""Operations, none of them heavy, up to which what is read whole is kept in place of what follows from it."""


def choose_saved(
    results: Sequence[Node], gradients: Sequence[Node], rounded: bool = False, low: Collection[Node] = ()
) -> list[Node]:
    """Choose what to keep: what backward reads, unless it follows from what it reads anyway by little work.

    Args:
        results: of the forward step.
        gradients: all that backward computes.
        rounded: whether what is kept has fewer digits than what is computed: then what is asked to be equal, as a
            number to the largest of its row, is kept itself, since computed again it may be another.
        low: what the loop rounds as well, if it does not round all: of the rest what it is made of is kept, as far as
            that is pointwise, and it is computed again.
    """
    forward = set(needed(results))
    backward = [node for node in needed(gradients, forward) if node not in forward]
    read = {operand for node in backward for operand in node.inputs if operand in forward}
    read = {_unrepeated(node) for node in read} | {node for node in gradients if node in forward}
    exact = {_unrepeated(operand) for node in backward if rounded and node.op == "eq" for operand in node.inputs}
    if low:
        read = {source for node in read for source in ({node} if node in exact else _sources(node, low))}
    saved: list[Node] = []
    for node in sorted(read, key=lambda node: node.number):  # the same order in every process
        if not node.is_leaf and (node in exact or not _follows(node, set(saved))):
            saved.append(node)
    return saved if rounded else _with_whole_rows(saved, results)


def _sources(node: Node, low: Collection[Node]) -> set[Node]:
    """Return what a node is made of by pointwise operations on what is not rounded."""
    stack, seen, found = [node], {node}, set[Node]()
    while stack:
        inner = stack.pop()
        made = inner.inputs[0] if inner.op in ("slice", "gather", "expand") else inner
        if inner in low or made in low or made.op not in OPERATIONS:
            found.add(inner)
        else:
            stack += [operand for operand in inner.inputs if operand not in seen]
            seen.update(inner.inputs)
    return {inner for inner in found if inner.op != "number"}


def _with_whole_rows(saved: Sequence[Node], results: Sequence[Node]) -> list[Node]:
    """Keep whole rows in place of what follows from them and from numbers of the row by an operation or two.

    A layer norm reads a product whole, so that it is in memory anyway: what is kept is the product itself and its
    mean, in place of the centred product of each gate.
    """
    whole = {operand for node in needed(results) if node.op != "slice" for operand in node.inputs}
    following: dict[Node, dict[Node, set[Node]]] = {}
    for node in saved:
        origin = _origin(node)
        if origin is not None and origin.row in whole:
            following.setdefault(origin.row, {})[node] = origin.numbers
    instead: dict[Node, None] = {}
    replaced: set[Node] = set()
    for row, nodes in following.items():
        if sum(node.width for node in nodes) >= row.width:
            replaced |= nodes.keys()
            instead |= dict.fromkeys([row, *set[Node]().union(*nodes.values())])
    kept = {*saved, *(node for node in instead if not node.is_leaf)} - (replaced - instead.keys())
    return sorted(kept, key=lambda node: node.number)


class _Origin(NamedTuple):
    """What a node follows from."""

    row: Node
    """A product, or a part."""
    numbers: set[Node]
    """Of the row, one each."""


def _origin(node: Node) -> _Origin | None:
    """Return the one product or part that a node follows from by little work, beside numbers of the row."""
    rows: set[Node] = set()
    numbers: set[Node] = set()
    light, stack = 0, [node]
    while stack:
        inner = stack.pop()
        if inner.op == "number":
            continue
        if inner.op in ("slice", "expand"):
            stack.append(inner.inputs[0])
        elif inner.op in ("product", "part"):
            rows.add(inner)
        elif inner.width == 1 and node.width > 1:
            numbers.add(inner)
        elif inner.op in OPERATIONS and not OPERATIONS[inner.op].heavy and light < LIGHT:
            light += 1
            stack += inner.inputs
        else:
            return None
    return _Origin(rows.pop(), numbers) if len(rows) == 1 and light else None


def _follows(node: Node, saved: set[Node]) -> bool:
    """Whether a node can be had again from leaves and what is saved by at most one heavy operation."""
    heavy = 0
    for inner in needed([node], saved):
        if inner in saved or inner.op in ("number", "state", "vector"):
            continue
        if inner.op == "slice" and inner.inputs[0].op in ("state", "vector"):
            continue
        if inner.op == "gather" and inner.inputs[0].op in ("state", "vector"):
            continue
        if inner.op not in OPERATIONS and inner.op != "expand" and not _only_spreads(inner):
            return False
        heavy += inner.op in OPERATIONS and OPERATIONS[inner.op].heavy
    return heavy <= 1


def _unrepeated(node: Node) -> Node:
    """Return what a node repeats the elements of, or the node."""
    while node.op == "einsum" and equation_of(node).is_view and node.width > node.inputs[0].width:
        (node,) = node.inputs
    return node


def _only_spreads(node: Node) -> bool:
    """Whether a node reorders and repeats elements, or products of these, without adding any up."""
    return node.op == "einsum" and not equation_of(node).summed
