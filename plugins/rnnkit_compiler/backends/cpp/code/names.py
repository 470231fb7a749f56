"""What generated code calls things: sizes and literals by number, buffers by name, and where each value is read."""

from dataclasses import dataclass, field

from rnnkit_compiler.backends.base.places import Places, number_of
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.kinds import CONTRACTIONS
from rnnkit_compiler.ir.units import Units
from rnnkit_compiler.schedule.buffers import (
    STATE_SLOTS,
    WITHOUT_SLOTS,
    Buffer,
    BufferKind,
    Place,
    Slot,
)
from rnnkit_compiler.schedule.stages import Stages

LITERALS = (0.0, 1.0, -1.0, 0.5, -0.5, 2.0)
"""Written into the source; others are numbers of the call."""


@dataclass
class Tables:
    """The numbered arguments of all kernels of one source."""

    sizes: list[int] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    units: list[Units] = field(default_factory=list)
    """What gathers take."""
    buffers: list[Buffer] = field(default_factory=list)
    contractions: list[int] = field(default_factory=list)
    """Their descriptions, one behind the other, by the row: see headers/contraction.h."""


class Names(Places):
    """The names in one kernel.

    Args:
        stages: of the kernel.
        tables: of all kernels of a source.
        whole_parts: how many parts have a slot for each step, the first ones; the others go round in as many as a call
            has. They do so where products of the input give parts, which then are the others, or where none does.
    """

    def __init__(self, stages: Stages, tables: Tables, whole_parts: int) -> None:
        self.stages, self.tables, self.whole_parts = stages, tables, whole_parts
        self.buffers: dict[Buffer, int] = {}
        """Buffers that the step reads or writes, and their widths."""
        self.rows: dict[Node, int] = {}
        """Numbers of the row that are kept over a step: the place of each."""
        self.literals: dict[str, str] = {}
        """Expressions of literals, and the name of each."""
        self.stored = set()
        self.visited: set[Buffer] = set()
        """What loops over the rows of this stage have read: it is in a cache."""
        self.remembered: dict[Node, int] = {}
        """What loops over the rows have computed and put aside, each thread for itself: the place of each."""
        self.ordered: set[int] = set()
        """How many elements are put in order, which each thread has room for."""

    def size(self, value: int) -> str:
        """Name a size."""
        return "0" if value == 0 else f"d{number_of(self.tables.sizes, value)}"

    def base(self, buffer: Buffer) -> str:
        """Write where a buffer begins."""
        return f"static_cast<real*>(call.buffers[{number_of(self.tables.buffers, buffer)}])"

    def slot(self, buffer: Buffer, slot: str, width: int) -> str:
        """Write where a slot of a buffer begins."""
        return f"{self.base(buffer)} + ({slot}) * call.batch * {self.size(width)}"

    def address(self, buffer: Buffer, width: int) -> str:
        """Write where the rows of this step begin in a buffer."""
        base, size = self.base(buffer.home), self.size(width)
        if buffer.kind is BufferKind.GRAD_VECTOR:
            return f"{base} + (s.row_share * s.unit_shares + s.unit_share) * {size}"
        if buffer.kind in WITHOUT_SLOTS:
            return base
        return f"{base} + {self._slot_of_step(buffer)} * batch * {size}"

    def _slot_of_step(self, buffer: Buffer) -> str:
        """Write which slot of a buffer belongs to this step."""
        if buffer.kind is BufferKind.PART and buffer.index >= self.whole_parts:
            return "(t % call.product_slots)"
        slot = STATE_SLOTS.get(buffer.kind)
        return "t" if slot is None else _slot(slot)

    def at(self, place: Place, row: str = "r") -> str:
        """Name an element of a buffer's row r."""
        if place.buffer.kind is BufferKind.VECTOR:
            return self.at_vector(place)
        self.buffers[place.buffer] = place.width
        offset = self.size(place.offset)
        return f"{place.buffer} + {row} * {self.size(place.width)}{plus(offset)}"

    def stride(self, place: Place) -> str:
        """Write how far rows are apart in a buffer; not at all where it has one for all."""
        return "0" if place.buffer.kind is BufferKind.VECTOR else self.size(place.width)

    def at_vector(self, place: Place) -> str:
        """Name an element of a buffer that has one row."""
        self.buffers[place.buffer] = place.width
        return f"{place.buffer}{plus(self.size(place.offset))}"

    def remembered_at(self, node: Node) -> str:
        """Name the elements of what was put aside for the row i."""
        return f"m{self.remembered[node]}_ + i * {self.size(node.width)}"

    def note(self, node: Node) -> str:
        """Print a node as it reads in the plan, sizes by their names."""
        if node.op == "slice":
            return f"%{node.inputs[0].number}[{self.size(node.attr[0])}:]"
        operands = [self.literal(o) if o.op == "number" else f"%{o.number}" for o in node.inputs]
        shown = {"window": 0, "products": 0}.get(node.op, 1 if node.op in CONTRACTIONS else 2)
        attributes = node.attr[:shown]  # not the sizes
        operands += [self.units(item) if isinstance(item, Units) else str(item) for item in attributes]
        return f"%{node.number} = {node.op}({', '.join(operands)})"

    def units(self, units: Units) -> str:
        """Name a table of units."""
        return f"i{number_of(self.tables.units, units)}"

    def literal(self, node: Node) -> str:
        """Name a literal, a vector of equal lanes."""
        value = node.attr[0]
        if isinstance(value, tuple):
            expression = f"call.sizes[{number_of(self.tables.sizes, value[1])}]" + (
                f" + {value[2]}" if value[2] else ""
            )
        elif value in LITERALS and str(value) != "-0.0":
            expression = f"{value:g}"
        else:
            expression = f"call.numbers[{number_of(self.tables.numbers, value)}]"
        return self.literals.setdefault(expression, f"q{len(self.literals)}")


def _slot(slot: Slot) -> str:
    """Write the number of the slot that belongs to step t."""
    step = f"(t + {slot.after})" if slot.after else "t"
    return f"({step} % {'call.slots' if slot.alternating is None else slot.alternating})"


def plus(term: str) -> str:
    """Write an offset to be added; nothing if it is zero."""
    return "" if term == "0" else f" + {term}"
