"""The intermediate form: one step as a graph of nodes, each a row of numbers for every row of the batch.

It prints as text, a node a line. Nodes are made by a Graph, which gives the same node for the same question and keeps a
normal form: only leaves, products and scans are sliced, and concatenations are outermost: nodes are joined only where a
product or a result asks for it.

Leaves, and what they stand for:
    state k     the k-th tensor of the state before the step
    part k      the k-th tensor of the projection
    vector k    an invariant of the call that is the same for every row
    number x    a literal; ("width", n, d) is n + d, where n is a size of the cell
    grad_y, grad_state k     what comes back from the output, and from the steps behind
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

from rnnkit_compiler.ir.kinds import LEAVES
from rnnkit_compiler.ir.operations import OPERATIONS
from rnnkit_compiler.ir.simplification import simplified
from rnnkit_compiler.ir.units import gather


class Node:
    """One value of a step: `width` numbers for each row, 1 where a single one serves all."""

    __slots__ = ("attr", "graph", "inputs", "number", "op", "width")

    def __init__(self, graph: "Graph", op: str, inputs: tuple["Node", ...], width: int, attr: tuple[Any, ...]) -> None:
        self.graph, self.op, self.inputs, self.width, self.attr = graph, op, inputs, width, attr
        self.number = len(graph.nodes)

    @property
    def is_pointwise(self) -> bool:
        """Whether element j depends on elements j of the operands alone."""
        return self.op in OPERATIONS or self.op == "expand"

    @property
    def is_leaf(self) -> bool:
        """Whether nothing has to be computed for it, sliced or not."""
        return self.op in LEAVES or (self.op == "slice" and self.inputs[0].op in LEAVES)

    @property
    def is_zero(self) -> bool:
        """Whether it is the literal 0."""
        return self.op == "number" and self.attr == (0.0,)

    def __add__(self, other: Any) -> "Node":
        return self.graph.pointwise("add", self, other)

    def __sub__(self, other: Any) -> "Node":
        return self.graph.pointwise("sub", self, other)

    def __rsub__(self, other: Any) -> "Node":
        return self.graph.pointwise("sub", other, self)

    def __mul__(self, other: Any) -> "Node":
        return self.graph.pointwise("mul", self, other)

    def __truediv__(self, other: Any) -> "Node":
        return self.graph.pointwise("div", self, other)

    def __rtruediv__(self, other: Any) -> "Node":
        return self.graph.pointwise("div", other, self)

    def __neg__(self) -> "Node":
        return self.graph.pointwise("neg", self)

    def __getattr__(self, name: str) -> Callable[..., "Node"]:
        if name in OPERATIONS:
            return lambda *others: self.graph.pointwise(name, self, *others)
        raise AttributeError(name)

    def __repr__(self) -> str:
        inputs = [f"%{node.number}" if node.op != "number" else str(node) for node in self.inputs]
        if self.op == "number":
            value = self.attr[0]
            return f"{value:g}" if not isinstance(value, tuple) else f"{value[1]}{value[2] or ''}"
        return f"{self.op}({', '.join([*inputs, *map(str, self.attr)])})"


class Graph:
    """Makes nodes, each question once, in normal form."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: dict[tuple[Any, ...], Node] = {}

    def make(self, op: str, inputs: Sequence[Node], width: int, *attr: Any) -> Node:
        """Return the node as asked for, without a look at what it means."""
        key = (op, tuple(node.number for node in inputs), width, repr(attr))
        if key not in self._known:
            node = Node(self, op, tuple(inputs), width, attr)
            self.nodes.append(node)
            self._known[key] = node
        return self._known[key]

    def number(self, value: float) -> Node:
        """Return a literal."""
        return self.make("number", (), 1, float(value))

    def size(self, width: int, plus: int = 0) -> Node:
        """Return a size of the cell as a number, so that what is generated holds for every size."""
        return self.make("number", (), 1, ("width", width, plus))

    def as_node(self, value: Any) -> Node:
        """Return a node for a node or literal."""
        return value if isinstance(value, Node) else self.number(value)

    def pointwise(self, op: str, *operands: Any) -> Node:
        """Apply a pointwise operation; operands of width 1 serve every element."""
        nodes = [self.as_node(operand) for operand in operands]
        simple = simplified(self, op, nodes)
        if simple is not None:
            return simple
        width = max(node.width for node in nodes)
        offsets = {offset for node in nodes if node.op == "concat" for offset, _ in _with_offsets(node)}
        if offsets:  # below the concatenation: each operand by itself
            cuts = [*sorted(offsets), width]
            return self.concat(
                [
                    self.pointwise(op, *(self.slice(node, start, stop - start) for node in nodes))
                    for start, stop in pairwise(cuts)
                ]
            )
        if op in ("add", "mul"):
            nodes.sort(key=lambda node: node.number)
        return self.make(op, nodes, width)

    def expand(self, node: Node, width: int) -> Node:
        """Repeat a single number."""
        if node.width == width:
            return node
        return self.make("expand", (node,), width)

    def slice(self, node: Node, offset: int, width: int) -> Node:
        """Take `width` elements from `offset` on; what is the same for all elements stays."""
        if node.width == 1 or (offset == 0 and width == node.width):
            return node
        if node.op == "slice":
            return self.slice(node.inputs[0], node.attr[0] + offset, width)
        if node.op == "concat":
            return self.concat(_cut(self, node, offset, width))
        if node.op == "expand":
            return self.expand(node.inputs[0], width)
        if node.op == "gather":
            return gather(node.inputs[0], node.attr[0][offset : offset + width])
        if node.op in OPERATIONS:
            return self.pointwise(node.op, *(self.slice(operand, offset, width) for operand in node.inputs))
        return self.make("slice", (node,), width, offset)

    def concat(self, nodes: Iterable[Node]) -> Node:
        """Join; neighbours in one leaf are one slice of it again."""
        flat: list[Node] = []
        for node in nodes:
            flat += node.inputs if node.op == "concat" else (node,)
        joined: list[Node] = []
        for node in flat:
            before = joined[-1] if joined else None
            if before is not None and node.op == before.op == "slice" and _follows(before, node):
                joined[-1] = self.slice(node.inputs[0], before.attr[0], before.width + node.width)
            else:
                joined.append(node)
        if len(joined) == 1:
            return joined[0]
        return self.make("concat", joined, sum(node.width for node in joined))

    def sum(self, node: Node, width: int) -> Node:
        """Add up the `width` elements of each row; return a single number."""
        if node.op == "concat":
            alike: dict[int, Node] = {}  # of one width: added up element by element, and then once along the row
            for operand in node.inputs:
                before = alike.get(operand.width)
                alike[operand.width] = operand if before is None else before + operand
            return reduce(add, (self.sum(operand, size) for size, operand in alike.items()))
        if node.width == 1 and width > 1:
            return node * self.size(width)
        if node.op == "expand":
            return node.inputs[0] * self.size(width)
        if node.op == "neg":
            return -self.sum(node.inputs[0], width)
        if node.op == "mul":
            for factor, other in (node.inputs, node.inputs[::-1]):
                if _is_uniform(factor) and not _is_uniform(other):
                    return self.sum(other, width) * unexpanded(factor)
        return self.make("sum", (node,), 1) if node.width > 1 else node

    def max(self, node: Node) -> Node:
        """Return the largest element of each row."""
        if node.op == "concat":
            return reduce(lambda a, b: a.maximum(b), map(self.max, node.inputs))
        return self.make("max", (node,), 1) if node.width > 1 else node

    def min(self, node: Node) -> Node:
        """Return the smallest element of each row."""
        if node.op == "concat":
            return reduce(lambda a, b: a.minimum(b), map(self.min, node.inputs))
        return self.make("min", (node,), 1) if node.width > 1 else node

    def rebuilt(self, nodes: Iterable[Node]) -> dict[Node, Node]:
        """Map nodes, and what they depend on, to the same without `stop` and `instead`.

        Once gradients are taken, it means nothing.
        """
        map_: dict[Node, Node] = {}
        for node in needed(nodes):
            inputs = [map_[operand] for operand in node.inputs]
            if node.op in ("stop", "instead"):
                map_[node] = inputs[0]
            elif node.op in OPERATIONS:
                map_[node] = self.pointwise(node.op, *inputs)
            else:
                map_[node] = self.make(node.op, inputs, node.width, *node.attr)
        return map_

    def product(self, node: Node, weight: int, width: int, transposed: bool = False) -> Node:
        """Multiply each row by an invariant matrix: (K,) by (K, width), or by the transpose of (width, K)."""
        if node.is_zero:
            return node
        if node.op == "number":  # a product reads memory, and a literal stands in none
            node = self.make("expand", (node,), node.width)
        return self.make("product", (node,), width, weight, transposed)

    def products(
        self, node: Node, weights: int | tuple[int, ...], width: int, count: int, transposed: bool = False
    ) -> Node:
        """Multiply each of `count` pieces of a row by an invariant matrix, the same or one each, to `width` numbers."""
        if count == 1 and isinstance(weights, int):
            return self.product(node, weights, width, transposed)
        return self.make("products", (node,), count * width, weights, transposed, count)


def unexpanded(node: Node) -> Node:
    """Return what a node repeats, or the node."""
    return node.inputs[0] if node.op == "expand" else node


def _is_uniform(node: Node) -> bool:
    """Tell whether all elements of a node are known to be the same."""
    return unexpanded(node).width == 1


def _with_offsets(node: Node) -> Iterator[tuple[int, Node]]:
    """Return the operands of a concatenation, each with the offset at which it begins."""
    offset = 0
    for operand in node.inputs:
        yield offset, operand
        offset += operand.width


def _cut(graph: Graph, node: Node, offset: int, width: int) -> Iterator[Node]:
    for start, operand in _with_offsets(node):
        low, high = max(offset, start), min(offset + width, start + operand.width)
        if low < high:
            # an operand of width 1 inside a wider row is that one element
            yield operand if operand.width == 1 else graph.slice(operand, low - start, high - low)


def _follows(before: Node, node: Node) -> bool:
    return before.inputs == node.inputs and before.attr[0] + before.width == node.attr[0]


def needed(results: Iterable[Node], stop: Iterable[Node] = ()) -> list[Node]:
    """List what the results depend on, themselves included, operands first; not what is behind `stop`."""
    listed: dict[Node, None] = {}
    ends = set(stop)

    for result in results:
        stack = [result]
        while stack:
            node = stack[-1]
            missing = () if node in listed or node in ends else [one for one in node.inputs if one not in listed]
            if missing:
                stack += reversed(missing)
            else:
                listed[stack.pop()] = None
    return list(listed)


def text(nodes: Iterable[Node], names: dict[Node, str] | None = None) -> str:
    """Print nodes, one a line."""
    names = names or {}
    return "\n".join(
        f"    %{node.number}: {node.width} = {node!r}{'  # ' + names[node] if node in names else ''}"
        for node in nodes
        if node.op != "number"
    )
