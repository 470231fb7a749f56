"""What pointwise operations leave out: those that change nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnkit_compiler.ir.graph import Graph, Node


def simplified(graph: "Graph", op: str, nodes: "list[Node]") -> "Node | None":
    """Return what an operation comes to where it is none: sums with 0, products with 1; None: it is one."""
    numbers = [node.attr[0] if node.op == "number" else None for node in nodes]
    if op == "stop" and nodes[0].op == "number":
        return nodes[0]
    if op in ("add", "mul", "sub") and len(nodes) == 2:
        neutral = 1.0 if op == "mul" else 0.0
        for k in (1, 0):
            other = nodes[1 - k]
            if numbers[k] == neutral and not (op == "sub" and k == 0):
                return other
    if op == "sub" and numbers[0] == 0.0:
        return graph.pointwise("neg", nodes[1])
    if op == "neg" and nodes[0].op == "neg":
        return nodes[0].inputs[0]
    if op == "div" and numbers[1] == 1.0:
        return nodes[0]
    return None
