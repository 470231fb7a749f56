"""Invariant matrices, and products with them."""

from rnnkit_compiler.ir.graph import Graph, Node
from rnnkit_compiler.ir.lowered import Hoisted, Invariant
from rnnkit_compiler.trace.recording import Recording, Ref
from rnnkit_compiler.trace.split import Split

MOST_OPERANDS = 4
"""Of a concatenation, up to which each is multiplied by itself."""


class Factors:
    """The matrices that a step multiplies by.

    Args:
        graph: where products are made.
        recording: of the step.
        split: of the recording.
    """

    def __init__(self, graph: Graph, recording: Recording, split: Split) -> None:
        self.graph, self._split = graph, split
        self.matrices: list[Invariant] = []
        self.hoisted: list[Hoisted] = []
        """Products of the input alone."""
        transposes = [call for call in split.once if call.name == "t.default"]
        self._transposes = {
            call.outputs[0]: call.reads[0] for call in transposes if len(recording.shapes[call.reads[0]]) == 2
        }

    def matrix(
        self, ref: Ref, shape: tuple[int, int], transposed: bool, offset: int = 0, block: int | None = None
    ) -> int:
        """Return the number of an invariant matrix of which rows from `offset` on are taken."""
        number = ref.number
        while number in self._transposes:  # the transpose of a matrix is the matrix, read the other way
            number, transposed = self._transposes[number], not transposed
        invariant = Invariant(number, shape, offset, transposed, block)
        if invariant not in self.matrices:
            self.matrices.append(invariant)
        return self.matrices.index(invariant)

    def source(self, number: int) -> int:
        """Return the number of the invariant that one is the transpose of, or its own."""
        while number in self._transposes:
            number = self._transposes[number]
        return number

    def product(
        self,
        node: Node,
        ref: Ref,
        columns: int,
        transposed: bool,
        bias: Node | None,
        block: int | None = None,
    ) -> Node:
        """Multiply by an invariant and add a bias; what is of the input alone, for all steps at once.

        Each operand of a concatenation is multiplied by the matrix's rows for it: nothing has to be put together first.
        """
        joined = node.op == "concat" and (any(map(self._is_given, node.inputs)) or len(node.inputs) <= MOST_OPERANDS)
        total = self.graph.number(0)
        offset = 0
        for operand in node.inputs if joined else [node]:
            matrix = self.matrix(ref, (operand.width, columns), transposed, offset, block)
            offset += operand.width
            if not self._is_given(operand):
                total = total + self.graph.product(operand, matrix, columns)
            elif bias is not None and bias.op == "vector" and bias.width == columns:
                total, bias = total + self._hoist(operand, matrix, bias.attr[0]), None
            else:
                total = total + self._hoist(operand, matrix, None)
        return total if bias is None else total + bias

    def _is_given(self, node: Node) -> bool:
        """Tell whether a node is of the input and can be read before the first step."""
        leaf = node.inputs[0] if node.op == "slice" else node
        return leaf.op == "part" and leaf.attr[0] < len(self._split.parts)

    def _hoist(self, node: Node, matrix: int, bias: int | None) -> Node:
        leaf = node.inputs[0] if node.op == "slice" else node
        hoisted = Hoisted(leaf.attr[0], node.attr[0] if node.op == "slice" else 0, node.width, matrix, bias)
        if hoisted not in self.hoisted:
            self.hoisted.append(hoisted)
        part = len(self._split.parts) + self.hoisted.index(hoisted)
        return self.graph.make("part", (), self.matrices[matrix].shape[1], part)
