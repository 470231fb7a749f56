"""A step in the intermediate form, and the forms in which tensors enter it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from rnnkit_compiler.ir.graph import Graph, Node, needed
from rnnkit_compiler.ir.whole_numbers import Growth
from rnnkit_compiler.trace.connection import connected
from rnnkit_compiler.trace.recording import Recording


class InFloat32(NamedTuple):
    """What a step of low precision has in float32, which kernels compute in."""

    constants: set[int]
    """The numbers of those that the step's own precision would round."""

    beside: set[Node]
    """What the step makes in its own precision, if it makes something in float32 on the way; else nothing."""


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

    block: int | None = None
    """Of a matrix: which of a stack of matrices, where the tensor is one."""


class Hoisted(NamedTuple):
    """A product of the input alone: computed for all steps at once, it enters as a part."""

    part: int
    """Which part is multiplied."""

    offset: int
    width: int
    matrix: int
    bias: int | None
    """Which vector is added."""


class Connected(NamedTuple):
    """What autograd connects with a result of the step, though the derivative may be 0 everywhere."""

    parts: list[bool]
    states: list[bool]
    invariants: frozenset[int]
    """Their numbers, among others."""

    @classmethod
    def of(cls, recording: Recording, parts: Sequence[int]) -> "Connected":
        """Return it of a recording, and of the parts that its steps read, by number."""
        found = connected(recording)
        read, states = ([number in found for number in each] for each in (parts, recording.states))
        return cls(read, states, found)


Answer = Callable[[Node], list[Node]]
"""From the gradient of a value to those of what it was made of, by the calls of a backward of the step's author."""


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

    growth: Growth | None
    """How its integers grow, if it has any."""

    sources: list[int]
    """The numbers of invariants of which kernels have what is made of them."""

    tables: list[int]
    """The numbers of buffers that units are taken by: the step holds for what is in them now."""

    in_float32: InFloat32
    """What a step of low precision has in float32."""

    names: dict[Node, str]
    """What the author of the step calls some of the nodes, for those who read what is generated."""

    connected: Connected

    answers: list[Answer]
    """By the numbers of `backward` nodes, from the gradient of what is of their width to those of what they read."""

    @property
    def given_parts(self) -> int:
        """How many parts come from outside; the others are products of these."""
        return len(self.part_widths) - len(self.hoisted)

    @property
    def computes_ahead(self) -> bool:
        """Whether there is a product at every step that waits for no state, so that it could be ahead."""
        waiting: set[Node] = set()
        for node in needed([self.output, *self.next_states]):
            if node.op == "state" or waiting.intersection(node.inputs):
                waiting.add(node)
            elif node.op in ("product", "products"):
                return True
        return False

    @property
    def invariants(self) -> list[int]:
        """The numbers, in the recording, of what vectors and matrices are made of, and what torch's operations read."""
        entered = [entry.number for entry in (*self.vectors, *self.matrices)]
        return list(dict.fromkeys([*entered, *self.sources, *self.tables]))
