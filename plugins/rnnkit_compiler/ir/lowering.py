"""Lowering: from the recording of a step to the intermediate form.

Each tensor of the recording that depends on state or projection becomes a `Value`; what depends on the parameters
alone stays a tensor, computed once a call, and enters as an invariant vector or matrix. The rules for aten's operations
are in rules/.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from rnnkit_compiler.ir.contraction import Term, einsum
from rnnkit_compiler.ir.graph import Graph, Node
from rnnkit_compiler.ir.lowered import Hoisted, Invariant, Lowered
from rnnkit_compiler.ir.values import TRUTH, Form, NotLowerable, Value, batch_axis, joined_axis
from rnnkit_compiler.trace.recording import Call, Recording, Ref
from rnnkit_compiler.trace.split import Split

MOST_OPERANDS = 4
"""Of a concatenation, up to which each is multiplied by itself."""


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
        read = {*self.recording.results, *(number for call in self.split.core for number in call.reads)}
        for call in self.split.core:
            for number in read.intersection((*call.reads, *call.outputs)):
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

    def form(self, call: Call, otherwise: str) -> Form:
        """Return the form of what a call gives element by element; the batch may be joined with features.

        Raises:
            NotLowerable: the batch is not in it, which `otherwise` says, or joined with features one does not know how.
        """
        shape = self.recording.shapes[call.output]
        found = joined_axis(shape, self.recording.rows)
        if found is None:
            raise NotLowerable(otherwise)
        axis, joined = found
        if 0 in shape:
            raise NotLowerable("a tensor has no elements")
        if joined == 1:
            return shape, axis, 1, 1
        values = [self.values[number] for number in call.reads if number in self.values]
        outers = {value.outer for value in values if value.joined == joined and value.node.width > 1}
        if len(outers) > 1:
            raise NotLowerable("two tensors join the batch with features in different ways")
        return shape, axis, joined, min(outers, default=1)

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

    def spread(self, argument: Any, shape: tuple[int, ...], axis: int, joined: int = 1, outer: int = 1) -> Value:
        """Return an argument of a pointwise operation with a result of such a form as a value of that form.

        Raises:
            NotLowerable: it has the batch elsewhere, or is complex.
        """
        form = shape, axis, joined, outer
        if not isinstance(argument, Ref):
            if isinstance(argument, complex):
                raise NotLowerable("a literal is complex")
            return Value(self.graph.number(float(argument)), *form)
        if argument.number in self.values:
            return self.aligned(self.values[argument.number], form)
        own = self.shape(argument)
        if len(own) >= len(shape) - axis and own[axis - len(shape)] != 1:
            raise NotLowerable("an invariant has a dimension for the batch")
        dims = Value(self.graph.number(0), *form).dims
        spare = len(shape) - len(own)
        features = () if torch.Size(own).numel() == 1 else dims[spare:] if set(dims[:spare]) <= {1} else dims
        return Value(self.vector(Invariant(argument.number, features)), *form)

    def aligned(self, value: Value, form: Form) -> Value:
        """Return a value in another form: what is of one element in some dimensions is repeated along these."""
        shape, axis, _, _ = form
        lead = len(shape) - len(value.shape)
        if value.axis + lead != axis:
            raise NotLowerable("two tensors have the batch in different places")
        wanted = Value(value.node, *form)
        if value.node.width == 1:
            return wanted
        if (value.joined, value.outer) != (wanted.joined, wanted.outer):
            raise NotLowerable("two tensors join the batch with features in different ways")
        own = (1,) * lead + value.dims
        axes = tuple(k for k, size in enumerate(own) if size == wanted.dims[k])
        return replace(wanted, node=einsum([Term(value.node, axes)], wanted.axes(), wanted.sizes()))

    def vector(self, invariant: Invariant) -> Node:
        """Return the leaf of an invariant vector."""
        literal = self.recording.constants.get(invariant.number)
        if literal is not None and literal.numel() == 1:
            return self.graph.number(float(literal))
        if invariant not in self.vectors:
            self.vectors.append(invariant)
        return self.graph.make("vector", (), torch.Size(invariant.shape).numel(), self.vectors.index(invariant))

    def constant(self, tensor: torch.Tensor) -> Ref:
        """Add a tensor of literals to the recording, in the dtype of the state."""
        number = len(self.recording.shapes)
        tensor = tensor.to(self.recording.dtypes[self.recording.states[0]])
        self.recording.shapes.append(tuple(tensor.shape))
        self.recording.dtypes.append(tensor.dtype)
        self.recording.constants[number] = tensor
        return Ref(number)

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
