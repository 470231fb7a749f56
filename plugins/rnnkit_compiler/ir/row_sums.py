"""Sums along a row that are added to each other: what they sum is added first, so that there is one sum for several."""

from collections.abc import Iterable

from rnnkit_compiler.ir.graph import Graph, Node, needed


class RowSums:
    """Adds single numbers of a row up.

    A layer norm over several gates has a sum for each of them in each of its gradients. A sum costs a register
    through the loop over the row, and some operations behind it; an addition in the loop costs no more than the one
    into that register.

    Args:
        graph: where nodes are made.
        given: nodes that are there before the first sum.
    """

    def __init__(self, graph: Graph, given: Iterable[Node]) -> None:
        self._graph = graph
        self._depths = dict.fromkeys(given, 0)
        """How many sums and products have to be waited for, one after the other."""

    def add(self, one: Node, other: Node) -> Node:
        """Return the sum of two nodes, the same but for rounding."""
        if one.width != 1 or other.width != 1 or one.op != other.op:
            return one + other
        if one.op == "neg":
            return -self.add(one.inputs[0], other.inputs[0])
        if one.op == "mul":
            for factor, left in (one.inputs, one.inputs[::-1]):
                for same, right in (other.inputs, other.inputs[::-1]):
                    if factor is same:
                        return factor * self.add(left, right)
        if one.op == "sum" and self._are_together(one.inputs[0], other.inputs[0]):
            left, right = one.inputs[0], other.inputs[0]
            return self._graph.sum(left + right, left.width)
        return one + other

    def _are_together(self, one: Node, other: Node) -> bool:
        """Tell whether a loop over the row has both: what waits for more sums than the other is made later."""
        return one.width == other.width and self._depth(one) == self._depth(other)

    def _depth(self, node: Node) -> int:
        for each in needed([node], stop=self._depths):
            if each in self._depths:
                continue
            waits = not (each.is_pointwise or each.is_leaf or each.op in ("slice", "concat", "expand"))
            self._depths[each] = max((self._depths[n] for n in each.inputs), default=0) + waits
        return self._depths[node]
