"""Timing, the first pass: the stage in which each node of a step can be computed; see `stages` for an example."""

from collections.abc import Mapping, Sequence

from rnnkit_compiler.ir.graph import Node, needed
from rnnkit_compiler.ir.kinds import ROW_LOOPS, WHOLE
from rnnkit_compiler.schedule.buffers import Place, Store, by_operand


class Timing:
    """When each node is computed, found in one walk over the nodes, operands first.

    Args:
        results: what is to be stored.
        given: nodes that are read from buffers which are there before the step.
    """

    def __init__(self, results: Sequence[Store], given: Mapping[Node, Place]) -> None:
        self._given = given
        nodes = needed([store.node for store in results], given)
        self.order = {node: k for k, node in enumerate(nodes)}
        self._users: dict[Node, list[Node]] = {}
        for node in nodes:
            for operand in () if node in given else node.inputs:
                self._users.setdefault(operand, []).append(node)
        self._sliced_only = self._find_sliced_products(results)
        self.stage: dict[Node, int] = {}
        """The stage that computes a node."""

        self._ready: dict[Node, int] = {}
        """The first stage at which the whole row of a node can be read."""

        self._in_loop: dict[Node, int] = {}
        """The first stage that can go through the elements of a node before its regions."""

        for node in nodes:
            self._enter(node)
        self._postpone({store.node for store in by_operand(results)})

    def _find_sliced_products(self, results: Sequence[Store]) -> set[Node]:
        """Find the products of which every use is a slice: each slice is computed by itself."""
        whole = {store.node for store in by_operand(results)}
        products = (node for node in self.order if node.op == "product" and node not in whole)
        return {product for product in products if {user.op for user in self._users.get(product, ())} == {"slice"}}

    def _postpone(self, stored: set[Node]) -> None:
        """Have nodes computed no sooner than they are used, where all that they read can be read then as well.

        Else they would be put aside for a later stage.
        """
        looped = self._within_loops(stored)
        may_wait = {node for node in self.order if node not in stored | looped and self._may_wait(node)}
        moved: dict[Node, int] = {}
        while True:
            moved.clear()
            for node in reversed(self.order):
                if node in may_wait:
                    moved[node] = min(moved.get(user, self.stage[user]) for user in self._users[node])
            stuck = {node for node, stage in moved.items() if not self._is_there(node, stage, moved)}
            if not stuck:
                break
            may_wait -= stuck
        self.stage |= moved  # what else is known of them is of loops and whole rows, which read none of them

    def _within_loops(self, stored: set[Node]) -> set[Node]:
        """Find what loops over a row read or compute again: of what waits they would compute all again."""
        within: set[Node] = set()
        stack = [operand for node in self.order if node.op in ROW_LOOPS for operand in node.inputs]
        while stack:
            node = stack.pop()
            if node not in within and node not in stored and not self.is_read(node):
                within.add(node)
                stack += node.inputs if node.is_pointwise else ()
        return within

    def _may_wait(self, node: Node) -> bool:
        """Tell whether a node, and all that use it, go unit by unit through rows of one width."""
        own = self._users.get(node, ())
        pointwise = all(one.is_pointwise and self.is_by_unit(one) and one.width == node.width for one in (node, *own))
        return bool(own) and pointwise and not self.is_read(node)

    def _is_there(self, node: Node, stage: int, moved: Mapping[Node, int]) -> bool:
        """Tell whether no operand of a node would have to be put aside so that it is there at a stage."""
        return all(
            self.is_read(operand) or not self.is_by_unit(operand) or moved.get(operand, self.stage[operand]) >= stage
            for operand in node.inputs
        )

    def is_read(self, node: Node) -> bool:
        """Tell whether a node is a literal, or read from a buffer that is there before the step."""
        return node.op == "number" or node in self._given or (node.op == "slice" and node.inputs[0] in self._given)

    def is_product(self, node: Node) -> bool:
        """Tell whether a node is computed by a product: it is one, or a slice of one that is never whole."""
        return node.op == "product" or (node.op == "slice" and node.inputs[0] in self._sliced_only)

    def is_by_unit(self, node: Node) -> bool:
        """Tell whether a node is computed unit by unit, not row by row."""
        return node.width > 1 or self.is_product(node)

    def is_inlined(self, node: Node, stage: int) -> bool:
        """Tell whether a loop over the row at `stage` computes a node again in place of reading it."""
        return node.is_pointwise and (self.stage[node] >= stage or all(map(self.is_read, node.inputs)))

    def _enter(self, node: Node) -> None:
        if self.is_read(node):
            self.stage[node] = self._ready[node] = self._in_loop[node] = 0
            return
        self.stage[node] = stage = self._stage_of(node)
        if node.op == "concat":  # put together where its last operand is computed, or read
            self._ready[node] = max(self.stage[operand] + self._is_copied(operand) for operand in node.inputs) + 1
        else:
            self._ready[node] = stage + 1
        self._in_loop[node] = self._loop_of(node)

    def _is_copied(self, node: Node) -> bool:
        """Whether a node may have to be stored once more, a stage later: whole rows are computed to one place."""
        return node.op in WHOLE and not self.is_read(node)

    def _stage_of(self, node: Node) -> int:
        if self.is_product(node):
            product = node if node.op == "product" else node.inputs[0]
            return self._ready[product.inputs[0]]
        if node.op == "slice":  # of a product that is stored whole
            return self._ready[node.inputs[0]]
        if node.op == "gather":
            return self._ready[node.inputs[0]]
        if node.op in WHOLE:
            return max(self._ready[operand] for operand in node.inputs)
        if node.op in ROW_LOOPS:
            return max(self._in_loop[operand] for operand in node.inputs)
        return max(((self._ready if self._crosses(node, o) else self.stage)[o] for o in node.inputs), default=0)

    def _loop_of(self, node: Node) -> int:
        if not self.is_by_unit(node):
            return self.stage[node]
        stored = self.stage[node] + 1
        if not node.is_pointwise:
            return stored
        return min(stored, max(self._in_loop[operand] for operand in node.inputs))

    def _crosses(self, node: Node, operand: Node) -> bool:
        """Whether an operand computed by the unit must be whole: the node goes by the row, or has other units."""
        if self.is_read(operand) or not self.is_by_unit(operand):
            return False
        return operand.width != node.width or operand.op in WHOLE or not self.is_by_unit(node)
