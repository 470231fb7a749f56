"""A row seen along some of its axes: what is added up along them, and repeated along them again.

Over all of a row this is one number, which serves every element as it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from rnnkit_compiler.ir.contraction import Term, einsum, extreme
from rnnkit_compiler.ir.equation import Axes
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.values import Value


@dataclass(frozen=True)
class Along:
    """A row, its axes, and those of them that a reduction goes along."""

    value: Value
    axes: Axes
    sizes: Mapping[int, int]
    along: Axes

    @classmethod
    def dims_of(cls, value: Value, dims: Iterable[int]) -> "Along":
        """Go along some dimensions of a value."""
        return cls(value, value.axes(), value.sizes(), tuple(dims))

    @property
    def node(self) -> Node:
        """All elements of the row."""
        return self.value.full()

    @property
    def left(self) -> Axes:
        """The axes that are not gone along."""
        return tuple(axis for axis in self.axes if axis not in self.along)

    @property
    def count(self) -> int:
        """How many elements become one."""
        return prod(self.sizes[axis] for axis in self.along)

    def size(self, plus: int = 0) -> Node:
        """Return `count` + `plus` as a number."""
        return self.value.node.graph.size(self.count, plus)

    def sum(self, node: Node) -> Node:
        """Add up."""
        return einsum([Term(node, self.axes)], self.left, self.sizes)

    def max(self, node: Node) -> Node:
        """Return the largest."""
        return extreme("amax", Term(node, self.axes), self.left, self.sizes)

    def min(self, node: Node) -> Node:
        """Return the smallest."""
        return extreme("amin", Term(node, self.axes), self.left, self.sizes)

    def repeat_of(self, node: Node, axes: Axes) -> Node:
        """Return what has some of the axes for every element."""
        return einsum([Term(node, axes)], self.axes, self.sizes)

    def repeat(self, node: Node) -> Node:
        """Return what was reduced for every element that it was made of."""
        return self.repeat_of(node, self.left)
