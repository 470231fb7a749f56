"""What a tensor of the recording is in the intermediate form: a node, and how its elements lie in the tensor."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

from rnnkit_compiler.ir.graph import Node

MOVES = (
    *("flip", "roll", "rot90", "repeat", "repeat_interleave", "constant_pad_nd", "unfold", "diagonal", "tril", "triu"),
    *(f"{kind}_pad{count}d" for kind in ("reflection", "replication") for count in (1, 2, 3)),
    *("slice_scatter", "select_scatter", "diagonal_scatter", "index_copy", "pixel_shuffle", "pixel_unshuffle"),
    *("channel_shuffle", "native_channel_shuffle", "im2col", "diag_embed"),
    *("index_select", "index", "gather", "scatter", "index_put", "_unsafe_index_put"),
    *("index_fill", "_unsafe_index", "masked_scatter", "narrow_copy"),
    *("select_backward", "slice_backward", "diagonal_backward"),
)
"""Operations whose results are made of units of their operands, and zeros."""


VIEWS = (
    *("alias", "clone", "detach", "_reshape_alias", "view", "_unsafe_view", "expand", "unsqueeze", "squeeze", "t"),
    *("transpose", "permute", "split", "split_with_sizes", "unsafe_split", "slice", "select", "unbind"),
)
"""Operations that hand on the elements of their operand, or some of them."""

TRUTH = frozenset(
    (
        *("eq", "ne", "lt", "le", "gt", "ge", "where", "_to_copy", "masked_fill", "fill", "zero"),
        *("amax", "amin", "max", "min", "isnan", "isinf", "isposinf", "isneginf", "signbit", "any", "all"),
        *(f"{kind}_{op}" for kind in ("logical", "bitwise") for op in ("not", "and", "or", "xor")),
        *VIEWS,
        *("cat", "stack"),
        *MOVES,
        *("zeros", "zeros_like", "new_zeros", "ones", "ones_like", "new_ones"),
    )
)
"""Operations that may give booleans: comparisons, and what leaves values as they are. All others do arithmetic."""

OF_TRUTHS = {"mul": "logical_and", "minimum": "logical_and", "add": "logical_or", "maximum": "logical_or"}
"""Arithmetic that torch does with two booleans as well, by what it then is."""


class NotLowerable(Exception):  # noqa: N818 - a reason, not an error: what raises it falls back
    """An operation has no counterpart in the intermediate form; says which."""

    place = ""
    """The author's line that calls it; empty: not known."""

    def placed(self, place: str) -> "NotLowerable":
        """Return what says the same and, if it did not before, where that is."""
        if self.place or not place:
            return self
        found = NotLowerable(f"{self} ({place})")
        found.place = place
        return found


@dataclass(frozen=True)
class Value:
    """A node, and the shape of the tensor that it stands for, batch axis included.

    The features of a row are the tensor's elements without the batch axis, in order. They are all of the node's
    elements, or there is one number for all. A view may have joined the batch with features, as (B, heads, d) to
    (heads B, d): what the row has in that axis is one of its features then.
    """

    node: Node
    shape: tuple[int, ...]
    axis: int
    """Where the batch is in the shape."""

    joined: int = 1
    """How many of the row's features lie in that axis."""

    outer: int = 1
    """How many of these come before the batch; the others come behind it."""

    @property
    def dims(self) -> tuple[int, ...]:
        """The sizes of the row in every dimension of the shape."""
        return (*self.shape[: self.axis], self.joined, *self.shape[self.axis + 1 :])

    @property
    def features(self) -> tuple[int, ...]:
        """The shape without the batch axis, of which there is left what was joined with it."""
        own = (self.joined,) if self.joined > 1 else ()
        return self.shape[: self.axis] + own + self.shape[self.axis + 1 :]

    @property
    def width(self) -> int:
        """How many numbers each row has."""
        return prod(self.features)

    def full(self) -> Node:
        """Return a node that has all of the elements."""
        return self.node.graph.expand(self.node, self.width)

    @property
    def form(self) -> "Form":
        """What it is beside its node."""
        return self.shape, self.axis, self.joined, self.outer

    def like(self, node: Node) -> "Value":
        """Return another node in the same shape."""
        return replace(self, node=node)

    def axes(self) -> tuple[int, ...]:
        """Number the dimensions, as axes of equations; the batch's has what is joined with it."""
        return tuple(range(len(self.shape)))

    def sizes(self) -> dict[int, int]:
        """Return the sizes of the row by these numbers."""
        return dict(enumerate(self.dims))


Form = tuple[tuple[int, ...], int, int, int]
"""What a value is beside its node: shape, axis, joined, outer."""


def joined_axis(shape: Sequence[int], rows: int) -> tuple[int, int] | None:
    """Find the batch in a shape of the recording, and how many features are joined with it; None: it is not there.

    Raises:
        NotLowerable: it is there twice.
    """
    axes = [axis for axis, size in enumerate(shape) if size % rows == 0 and size]
    if not axes:
        return None
    if len(axes) > 1:
        raise NotLowerable(f"a tensor of shape {written(shape, rows)} has the batch twice")
    return axes[0], shape[axes[0]] // rows


class Pair(NamedTuple):
    """A complex tensor: two values of one shape."""

    real: Value
    imag: Value

    def node(self) -> Node:
        """Return all real parts, and behind them all imaginary ones: as a kernel keeps a complex state."""
        return self.real.node.graph.concat([self.real.full(), self.imag.full()])


def batch_axis(shape: Sequence[int], rows: int) -> int | None:
    """Find the batch in a shape of the recording; None: it is not there.

    Raises:
        NotLowerable: it is there twice, or hidden in a product of sizes.
    """
    axes = [axis for axis, size in enumerate(shape) if size % rows == 0 and size]
    if not axes:
        return None
    if len(axes) > 1 or shape[axes[0]] != rows:
        raise NotLowerable(f"a tensor of shape {written(shape, rows)} joins the batch with other dimensions")
    return axes[0]


def written(shape: Sequence[int], rows: int) -> str:
    """Write a shape with B for the batch: "(2B, 4)"."""
    sizes = [f"{size // rows if size != rows else ''}B" if size and size % rows == 0 else str(size) for size in shape]
    return f"({', '.join(sizes)}{',' * (len(sizes) == 1)})"


def same_order(before: Sequence[int], after: Sequence[int]) -> bool:
    """Tell whether two lists of sizes are the same but for ones."""
    return [size for size in before if size != 1] == [size for size in after if size != 1]
