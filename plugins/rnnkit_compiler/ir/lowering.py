"""Lowering: from the recording of a step to the intermediate form.

Each tensor of the recording that depends on state or projection becomes a `Value`; what depends on the parameters
alone stays a tensor, computed once a call, and enters as an invariant vector or matrix. The rules for aten's operations
are in rules/.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import Any

import torch

from rnnkit_compiler.ir.additions import Additions
from rnnkit_compiler.ir.constants import Constants, index_numbers
from rnnkit_compiler.ir.contraction import Term, einsum
from rnnkit_compiler.ir.dtypes import Dtypes
from rnnkit_compiler.ir.factors import Factors
from rnnkit_compiler.ir.graph import Graph, Node
from rnnkit_compiler.ir.lowered import Answer, Connected, Invariant, Lowered
from rnnkit_compiler.ir.values import (
    OF_TRUTHS,
    TRUTH,
    Form,
    NotLowerable,
    Pair,
    Value,
    batch_axis,
    joined_axis,
    written,
)
from rnnkit_compiler.trace.backward import members, without
from rnnkit_compiler.trace.naming import line_at
from rnnkit_compiler.trace.recording import Call, Recording, Ref
from rnnkit_compiler.trace.split import Split

Rules = Mapping[str, Callable[["Lowering", Call], Any]]


@dataclass
class Lowering:
    """Lowers one recording."""

    recording: Recording
    split: Split
    graph: Graph = field(default_factory=Graph)
    vectors: list[Invariant] = field(default_factory=list)
    values: dict[int, Value] = field(default_factory=dict)
    pairs: dict[int, Pair] = field(default_factory=dict)
    """Complex tensors."""

    components: dict[int, tuple[int, int]] = field(default_factory=dict)
    """The real and the imaginary part of each complex invariant, all by number."""

    _aside: dict[int, Call] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    """What gives the gradients that a step makes by calls of its own."""

    def __post_init__(self) -> None:
        self.constants = Constants(self.recording)
        self._indices = index_numbers(self.recording.calls)
        self.dtypes = Dtypes(self.recording, self.split, self.constants)
        self.added = Additions(self.recording, self.split, self.dtypes.real)
        self.factors = Factors(self.graph, self.recording, self.split)

    def run(self, rules: Rules, complex_rules: Rules) -> Lowered:
        """Lower every call of the step.

        Args:
            rules: by the name of the operation; each gives a value, or a list where the operation gives several.
            complex_rules: the same where complex numbers are read or made; those give pairs.

        Raises:
            NotLowerable: an operation or a shape has no counterpart.
        """
        recording = self.recording
        for op, numbers in (("part", self.split.parts), ("state", recording.states)):
            for k, number in enumerate(numbers):
                self._enter(op, k, number)
        self._lower = partial(self._by_rule, rules=rules, complex_rules=complex_rules)
        self.members = members(self.split.core)
        for call in without(self.split.core, self.members):
            try:
                self.lower(call)
            except NotLowerable as reason:
                raise reason.placed(line_at(recording.place_of(call))) from reason
        results = [*zip(recording.states, recording.next_states, strict=True)]
        states = [self._result(after, before) for before, after in results]
        output, features = self._output(recording.output)
        leaves = {node.attr[0]: node.width for node in self.graph.nodes if node.op == "part"}
        return Lowered(
            self.graph,
            self.dtypes.real,
            output,
            states,
            [leaves[k] for k in range(len(leaves))],
            [node.width for node in states],
            self.vectors,
            self.factors.matrices,
            self.factors.hoisted,
            features,
            self.dtypes.whole.growth(results),
            self.added.sources,
            self.constants.tables,
            self.dtypes.precisions.in_float32(self.values, self.vectors, self.factors.matrices),
            self._names(),
            Connected.of(recording, self.split.parts),
            self.answers,
        )

    def _names(self) -> dict[Node, str]:
        """Return what the step's author calls the nodes that are there."""
        named = self.recording.names
        found = {self.values[number].node: name for number, name in named.items() if number in self.values}
        read = [(k, vector) for k, vector in enumerate(self.vectors) if vector.number in named]
        return found | {self.graph.make("vector", (), prod(v.shape), k): named[v.number] for k, v in read}

    def _output(self, number: int) -> tuple[Node, tuple[int, ...]]:
        """Return the output and its features; complex ones have one dimension more, of two, in front."""
        pair = self.pairs.get(number)
        output = self.value(Ref(number)) if pair is None else pair[0]
        if output.axis != 0 or output.joined != 1:
            raise NotLowerable("the output's first dimension is not the batch")
        if not self.dtypes.precisions.is_right_output(number):
            raise NotLowerable(f"the output is {self.recording.dtypes[number]}, and the state {self.dtypes.real}")
        return (output.full(), output.features) if pair is None else (pair.node(), (2, *output.features))

    def lower(self, call: Call) -> None:
        """Lower a call; constants by which units are taken are put aside, should they be read as numbers too."""
        made = [number for number in call.outputs if number is not None]
        if all(map(self._is_index, made)):
            self._aside |= dict.fromkeys(made, call)
        else:
            self._lower(call)

    def _by_rule(self, call: Call, rules: Rules, complex_rules: Rules) -> None:
        self.dtypes.precisions.check(call)
        is_complex = self.dtypes.is_complex(call)
        known, name = complex_rules if is_complex else rules, call.base_name
        if self.recording.dtypes[call.output] == torch.bool:
            name = OF_TRUTHS.get(name, name)
        rule = known.get(name, known.get(name.removesuffix("_copy")))
        if rule is None:
            raise NotLowerable(f"{call.name}{' of complex numbers' * is_complex} has no counterpart")
        if self.recording.dtypes[call.output] == torch.bool and name not in TRUTH:
            raise NotLowerable(f"{call.name} of booleans, which are no numbers, has no counterpart")
        result = rule(self, call)
        for number, value in zip(call.outputs, result if call.several else [result], strict=True):
            if number is not None and value is not None:
                (self.values if isinstance(value, Value) else self.pairs)[number] = value
        self.dtypes.whole.note(call, [number for number in call.outputs if number in self.values])

    def _is_index(self, number: int) -> bool:
        is_taken_by = number in self._indices and not self.recording.dtypes[number].is_floating_point
        return is_taken_by and self.constants.of(number) is not None

    def _enter(self, op: str, k: int, number: int) -> None:
        shape = self.recording.shapes[number]
        width = torch.Size(shape[1:]).numel()
        if not width:
            raise NotLowerable("a tensor has no elements")
        if not self.recording.dtypes[number].is_complex:
            self.values[number] = Value(self.graph.make(op, (), width, k), shape, 0)
            return
        leaf = self.graph.make(op, (), 2 * width, k)
        self.pairs[number] = Pair(*(Value(self.graph.slice(leaf, start, width), shape, 0) for start in (0, width)))

    def _result(self, number: int, before: int) -> Node:
        if self.recording.dtypes[number] != self.recording.dtypes[before]:
            raise NotLowerable("a state changes its dtype")
        pair = self.pairs.get(number)
        value = self.value(Ref(number)) if pair is None else pair[0]
        if value.shape != self.recording.shapes[before] or value.axis != 0:
            raise NotLowerable("a state changes its shape")
        return value.full() if pair is None else pair.node()

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
        values += [value for number in call.reads if number in self.pairs for value in self.pairs[number]]
        outers = {value.outer for value in values if value.joined == joined and value.node.width > 1}
        if len(outers) > 1:
            raise NotLowerable("two tensors join the batch with features in different ways")
        return shape, axis, joined, min(outers, default=1)

    def shape(self, ref: Ref) -> tuple[int, ...]:
        """Return the shape of a tensor of the recording."""
        return self.recording.shapes[ref.number]

    def value(self, ref: Ref) -> Value:
        """Return what depends on the rows as a value."""
        if ref.number in self._aside and joined_axis(self.shape(ref), self.recording.rows):
            self._lower(self._aside.pop(ref.number))
        if ref.number not in self.values:
            shape, rows = self.shape(ref), self.recording.rows
            if batch_axis(shape, rows) is not None:
                raise NotLowerable("an invariant has a dimension for the batch")
            return self.spread(ref, (rows, *shape), 0)
        return self.values[ref.number]

    def by_itself(self, ref: Ref) -> Value:
        """Return a value whose batch has an axis of its own.

        Raises:
            NotLowerable: it is joined with features.
        """
        value = self.value(ref)
        if value.joined != 1:
            raise NotLowerable(f"a tensor of shape {written(value.shape, self.recording.rows)} joins the batch")
        return value

    def entered(self, value: Value) -> Ref:
        """Return a reference to a value that no call gives."""
        ref = Ref(self.added.number(value.shape, self.dtypes.real))
        self.values[ref.number] = value
        return ref

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

    def arguments(self, call: Call) -> dict[str, Any]:
        """Return the arguments of a call by name, defaults filled in."""
        return call.arguments
