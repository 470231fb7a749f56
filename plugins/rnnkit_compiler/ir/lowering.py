"""Lowering: from the recording of a step to the intermediate form.

Each tensor of the recording that depends on state or projection becomes a `Value`; what depends on the parameters
alone stays a tensor, computed once a call, and enters as an invariant vector or matrix. The rules for aten's operations
are in rules/.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from rnnkit_compiler.ir.graph import Graph, Node, needed
from rnnkit_compiler.ir.values import TRUTH, NotLowerable, Value, batch_axis
from rnnkit_compiler.trace.recording import Call, Recording, Ref
from rnnkit_compiler.trace.split import Split

MOST_OPERANDS = 4
"""Of a concatenation, up to which each is multiplied by itself."""


class Invariant(NamedTuple):
    """A tensor of the recording that is the same at every step, and the form that it enters in."""

    number: int
    """Of the tensor in the recording."""

    shape: tuple[int, ...]
    """Of a vector: what it is expanded to before it is made flat. Of a matrix: its rows and columns, cut out."""

    offset: int = 0
    """Of a matrix: its first row."""

    transposed: bool = False
    """Of a matrix: whether the transpose is meant."""


class Hoisted(NamedTuple):
    """A product of the input alone: computed for all steps at once, it enters as a part."""

    part: int
    """Which part is multiplied."""

    offset: int
    width: int
    matrix: int
    bias: int | None
    """Which vector is added."""


@dataclass
class Lowered:
    """One step in the intermediate form."""

    graph: Graph
    dtype: torch.dtype
    output: Node
    next_states: list[Node]
    part_widths: list[int]
    state_widths: list[int]
    vectors: list[Invariant]
    matrices: list[Invariant]
    hoisted: list[Hoisted]
    output_shape: tuple[int, ...]
    """Features of the output."""

    @property
    def computes_ahead(self) -> bool:
        """Whether there is a product at every step that waits for no state, so that it could be ahead."""
        waiting: set[Node] = set()
        for node in needed([self.output, *self.next_states]):
            if node.op == "state" or waiting.intersection(node.inputs):
                waiting.add(node)
            elif node.op == "product":
                return True
        return False

    @property
    def invariants(self) -> list[int]:
        """The numbers, in the recording, of the tensors that vectors and matrices are made of."""
        return list(dict.fromkeys(entry.number for entry in (*self.vectors, *self.matrices)))


@dataclass
class Lowering:
    """Lowers one recording."""

    recording: Recording
    split: Split
    graph: Graph = field(default_factory=Graph)
    vectors: list[Invariant] = field(default_factory=list)
    matrices: list[Invariant] = field(default_factory=list)
    hoisted: list[Hoisted] = field(default_factory=list)
    values: dict[int, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        transposes = [call for call in self.split.once if call.name == "t.default"]
        self._transposes = {
            call.outputs[0]: call.reads[0] for call in transposes if len(self.recording.shapes[call.reads[0]]) == 2
        }

    def run(self, rules: Mapping[str, Callable[["Lowering", Call], Any]]) -> Lowered:
        """Lower every call of the step.

        Args:
            rules: by the name of the operation; each gives a value, or a list where the operation gives several.

        Raises:
            NotLowerable: an operation or a shape has no counterpart.
        """
        recording = self.recording
        dtype = self._dtype()
        for op, numbers in (("part", self.split.parts), ("state", recording.states)):
            for k, number in enumerate(numbers):
                self._enter(op, k, number)
        for call in self.split.core:
            self._lower(call, rules)
        pairs = zip(recording.next_states, recording.states, strict=True)
        states = [self._result(after, before) for after, before in pairs]
        output = self.value(Ref(recording.output))
        if output.axis != 0:
            raise NotLowerable("the output's first dimension is not the batch")
        if recording.dtypes[recording.output] != dtype:
            raise NotLowerable(f"the output is {recording.dtypes[recording.output]}, the state {dtype}")
        return Lowered(
            self.graph,
            dtype,
            output.full(),
            states,
            [self.values[number].width for number in self.split.parts]
            + [self.matrices[hoisted.matrix].shape[1] for hoisted in self.hoisted],
            [self.values[number].width for number in recording.states],
            self.vectors,
            self.matrices,
            self.hoisted,
            output.features,
        )

    def _lower(self, call: Call, rules: Mapping[str, Callable[["Lowering", Call], Any]]) -> None:
        rule = rules.get(call.base_name)
        if rule is None:
            raise NotLowerable(f"{call.name} has no counterpart")
        if self.recording.dtypes[call.output] == torch.bool and call.base_name not in TRUTH:
            raise NotLowerable(f"{call.name} of booleans, which are no numbers, has no counterpart")
        result = rule(self, call)
        for number, value in zip(call.outputs, result if call.several else [result], strict=True):
            if number is not None and value is not None:
                self.values[number] = value

    def _dtype(self) -> torch.dtype:
        dtypes = {self.recording.dtypes[number] for number in self.recording.states}
        if len(dtypes) != 1:
            raise NotLowerable("its states are of several dtypes")
        (dtype,) = dtypes
        if not dtype.is_floating_point:
            raise NotLowerable(f"its state is {dtype}")
        for call in self.split.core:
            for number in (*call.reads, *(made for made in call.outputs if made is not None)):
                other = self.recording.dtypes[number]
                if other not in (dtype, torch.bool) and self.recording.shapes[number]:
                    raise NotLowerable(f"{call.name} has a tensor of {other} beside {dtype}")
        return dtype

    def _enter(self, op: str, k: int, number: int) -> None:
        shape = self.recording.shapes[number]
        width = torch.Size(shape[1:]).numel()
        if not width:
            raise NotLowerable("a tensor has no elements")
        self.values[number] = Value(self.graph.make(op, (), width, k), shape, 0)

    def _result(self, number: int, before: int) -> Node:
        value = self.value(Ref(number))
        if value.shape != self.recording.shapes[before] or value.axis != 0:
            raise NotLowerable("a state changes its shape")
        return value.full()

    def place(self, number: int | None, otherwise: str) -> tuple[tuple[int, ...], int]:
        """Return the shape of a tensor of the recording, and where the batch is in it.

        Raises:
            NotLowerable: the batch is not in it; says `otherwise`.
        """
        assert number is not None
        shape = self.recording.shapes[number]
        axis = batch_axis(shape, self.recording.rows)
        if axis is None:
            raise NotLowerable(otherwise)
        return shape, axis

    def shape(self, ref: Ref) -> tuple[int, ...]:
        """Return the shape of a tensor of the recording."""
        return self.recording.shapes[ref.number]

    def value(self, ref: Ref) -> Value:
        """Return what depends on the rows as a value."""
        if ref.number not in self.values:
            shape = self.shape(ref)
            if batch_axis(shape, self.recording.rows) is not None:
                raise NotLowerable("an invariant has a dimension for the batch")
            rows = self.recording.rows
            return self.spread(ref, (rows, *shape), 0)
        return self.values[ref.number]

    def is_value(self, argument: Any) -> bool:
        """Tell whether an argument depends on the rows."""
        return isinstance(argument, Ref) and argument.number in self.values

    def spread(self, argument: Any, shape: tuple[int, ...], axis: int) -> Value:
        """Return an argument of a pointwise operation with a result of such a shape as a value of that shape.

        Raises:
            NotLowerable: it is repeated along some of the features only.
        """
        if not isinstance(argument, Ref):
            if isinstance(argument, complex):
                raise NotLowerable("a literal is complex")
            return Value(self.graph.number(float(argument)), shape, axis)
        if argument.number in self.values:
            return self._aligned(self.values[argument.number], shape, axis)
        own = self.shape(argument)
        aligned = (1,) * (len(shape) - len(own)) + own
        features = shape[:axis] + shape[axis + 1 :]
        own_features = aligned[:axis] + aligned[axis + 1 :]
        if aligned[axis] != 1:
            raise NotLowerable("an invariant has a dimension for the batch")
        scalar = torch.Size(own_features).numel() == 1
        node = self.vector(Invariant(argument.number, () if scalar else features))
        return Value(node, shape, axis)

    def _aligned(self, value: Value, shape: tuple[int, ...], axis: int) -> Value:
        lead = len(shape) - len(value.shape)
        own = (1,) * lead + value.shape
        if value.axis + lead != axis:
            raise NotLowerable("two tensors have the batch in different places")
        features, wanted = own[:axis] + own[axis + 1 :], shape[:axis] + shape[axis + 1 :]
        if features != wanted and value.node.width != 1:
            raise NotLowerable(f"{features} is repeated along some of the features of {wanted}")
        return Value(value.node, shape, axis)

    def vector(self, invariant: Invariant) -> Node:
        """Return the leaf of an invariant vector."""
        literal = self.recording.constants.get(invariant.number)
        if literal is not None and literal.numel() == 1:
            return self.graph.number(float(literal))
        if invariant not in self.vectors:
            self.vectors.append(invariant)
        return self.graph.make("vector", (), torch.Size(invariant.shape).numel(), self.vectors.index(invariant))

    def matrix(self, ref: Ref, shape: tuple[int, int], transposed: bool, offset: int = 0) -> int:
        """Return the number of an invariant matrix of which rows from `offset` on are taken."""
        number = ref.number
        while number in self._transposes:  # the transpose of a matrix is the matrix, read the other way
            number, transposed = self._transposes[number], not transposed
        invariant = Invariant(number, shape, offset, transposed)
        if invariant not in self.matrices:
            self.matrices.append(invariant)
        return self.matrices.index(invariant)

    def product(self, node: Node, ref: Ref, rows: int, columns: int, transposed: bool, bias: Node | None) -> Node:
        """Multiply by an invariant and add a bias; what is of the input alone, for all steps at once.

        Each operand of a concatenation is multiplied by the matrix's rows for it: nothing has to be put together first.
        """
        joined = node.op == "concat" and (any(map(self._is_given, node.inputs)) or len(node.inputs) <= MOST_OPERANDS)
        total = self.graph.number(0)
        offset = 0
        for operand in node.inputs if joined else [node]:
            matrix = self.matrix(ref, (operand.width, columns), transposed, offset)
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
        return leaf.op == "part" and leaf.attr[0] < len(self.split.parts)

    def _hoist(self, node: Node, matrix: int, bias: int | None) -> Node:
        leaf = node.inputs[0] if node.op == "slice" else node
        hoisted = Hoisted(leaf.attr[0], node.attr[0] if node.op == "slice" else 0, node.width, matrix, bias)
        if hoisted not in self.hoisted:
            self.hoisted.append(hoisted)
        part = len(self.split.parts) + self.hoisted.index(hoisted)
        return self.graph.make("part", (), self.matrices[matrix].shape[1], part)

    def arguments(self, call: Call) -> dict[str, Any]:
        """Return the arguments of a call by name, defaults filled in."""
        return call.arguments
