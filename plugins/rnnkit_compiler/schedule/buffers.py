"""The buffers of a kernel: what each holds, its size, and which slot of it belongs to a step.

Every buffer has rows, one for each row of the batch, of `width` numbers. One with slots has all rows once for each
slot.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from rnnkit_compiler.ir.graph import Node


class BufferKind(StrEnum):
    """What a buffer holds."""

    PART = "part"
    """Part k of what the steps read of the input: a slot for each step."""

    STATE = "state"
    """State k before the step: a slot for each step and one more where all states are kept, else two that alternate."""

    NEXT_STATE = "next_state"
    """State k after the step: the next slot of the same buffer."""

    Y = "y"
    """The output: a slot for each step."""

    KEPT = "kept"
    """What is saved for backward in the form of part k, so that it may be written over it."""

    SAVED = "saved"
    """What is saved for backward, a slot for each step."""

    OPERAND = "operand"
    """What a product of the step multiplies, for the gradient of its matrix: a slot for each step."""

    VECTOR = "vector"
    """Invariant vector k: one row for all."""

    TEMPORARY = "temporary"
    """What one stage of a step leaves to a later one: rewritten at every step."""

    FIRST = "first"
    """Where the carried values come from before the first step: the states, or the gradients of the last ones."""

    LAST = "last"
    """Where the carried values go after the last step."""

    INITIAL = "initial"
    """The state that rows start again from; in backward, its gradient."""

    GRAD_Y = "grad_y"
    """The gradient of the output: a slot for each step."""

    GRAD_STATE = "grad_state"
    """The gradient of state k after the step: two slots that alternate."""

    GRAD_BEFORE = "grad_before"
    """The gradient of state k before the step: the other slot of the same buffer."""

    GRAD_PART = "grad_part"
    """The gradient of part k: a slot for each step."""

    GRAD_PRODUCT = "grad_product"
    """The gradient of a product's result: a slot for each step."""

    GRAD_VECTOR = "grad_vector"
    """The gradient of vector k, summed over rows and steps: a row for each worker."""


SINGLE = (BufferKind.Y, BufferKind.GRAD_Y)
"""Of these there is one, and it has no number."""


class Buffer:
    """A buffer by what it holds and its number among those of the kind.

    There is one object for each, so that they are compared, and found in dicts, by identity: each call of a layer looks
    up some dozens.
    """

    __slots__ = ("index", "kind")
    kind: BufferKind
    index: int

    def __new__(cls, kind: BufferKind, index: int = 0) -> "Buffer":
        """Return the one object."""
        known = _BUFFERS.get((kind, index))
        if known is None:
            known = super().__new__(cls)
            known.kind, known.index = kind, index
            known = _BUFFERS.setdefault((kind, index), known)
        return known

    def __str__(self) -> str:
        return str(self.kind) if self.kind in SINGLE else f"{self.kind}{self.index}"

    __repr__ = __str__

    @property
    def home(self) -> "Buffer":
        """The buffer that this one is a slot of; mostly itself."""
        return Buffer(_HOMES[self.kind], self.index) if self.kind in _HOMES else self


_BUFFERS: dict[tuple[BufferKind, int], Buffer] = {}
_HOMES = {BufferKind.NEXT_STATE: BufferKind.STATE, BufferKind.GRAD_BEFORE: BufferKind.GRAD_STATE}


class Slot(NamedTuple):
    """Which slot of a buffer belongs to step t: t plus `after`, modulo the number of slots."""

    after: int
    alternating: int | None
    """How many slots there are; None: as many as the states of the call have."""


STATE_SLOTS = {
    BufferKind.STATE: Slot(0, None),
    BufferKind.NEXT_STATE: Slot(1, None),
    BufferKind.GRAD_STATE: Slot(1, 2),
    BufferKind.GRAD_BEFORE: Slot(0, 2),
}
"""Of the buffers that have slots, those whose slot is not that of the step: what is carried from step to step."""

WITHOUT_SLOTS = (BufferKind.VECTOR, BufferKind.TEMPORARY, BufferKind.GRAD_VECTOR)
"""The same memory at every step."""


class Place(NamedTuple):
    """Where a value stands: in a buffer with rows of `width` numbers, from `offset` on."""

    buffer: Buffer
    width: int
    offset: int = 0


class Store(NamedTuple):
    """A node and where it goes."""

    node: Node
    place: Place


def place_of(node: Node, sources: Mapping[Node, Place]) -> Place | None:
    """Return where a node is read, if it or what it is cut from stands in a buffer."""
    if node in sources:
        return sources[node]
    if node.op == "slice" and node.inputs[0] in sources:
        place = sources[node.inputs[0]]
        return place._replace(offset=place.offset + node.attr[0])
    return None


def by_operand(stores: Iterable[Store]) -> list[Store]:
    """Take joined nodes apart: each operand of a concatenation is stored by itself."""
    single = []
    for node, place in stores:
        if node.op != "concat":
            single.append(Store(node, place))
            continue
        offset = place.offset
        for operand in node.inputs:
            single.append(Store(operand, place._replace(offset=offset)))
            offset += operand.width
    return single
