"""What is kept for backward, and what is computed again there from what it reads anyway."""

from collections.abc import Sequence

from rnnkit_compiler.ir.contraction import equation_of
from rnnkit_compiler.ir.graph import Node, needed
from rnnkit_compiler.ir.operations import OPERATIONS


def choose_saved(results: Sequence[Node], gradients: Sequence[Node], rounded: bool = False) -> list[Node]:
    """Choose what to keep: what backward reads, unless it follows from what it reads anyway by little work.

    Args:
        results: of the forward step.
        gradients: all that backward computes.
        rounded: whether what is kept has fewer digits than what is computed: then what is asked to be equal, as a
            number to the largest of its row, is kept itself, since computed again it may be another.
    """
    forward = set(needed(results))
    backward = [node for node in needed(gradients, forward) if node not in forward]
    read = {operand for node in backward for operand in node.inputs if operand in forward}
    read = {_unrepeated(node) for node in read} | {node for node in gradients if node in forward}
    exact = {_unrepeated(operand) for node in backward if rounded and node.op == "eq" for operand in node.inputs}
    saved: list[Node] = []
    for node in sorted(read, key=lambda node: node.number):  # the same order in every process
        if not node.is_leaf and (node in exact or not _follows(node, set(saved))):
            saved.append(node)
    return saved


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
