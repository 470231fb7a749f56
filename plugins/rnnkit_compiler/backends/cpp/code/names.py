"""What generated code calls things: sizes and literals by number, buffers by name, and where each value is read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.operations import OPERATIONS
from rnnkit_compiler.schedule.stages import Place, Schedule, place_of

LITERALS = (0.0, 1.0, -1.0, 0.5, -0.5, 2.0)
"""Written into the source; others are numbers of the call."""


@dataclass
class Tables:
    """The numbered arguments of all kernels of one source."""

    sizes: list[int] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    buffers: list[str] = field(default_factory=list)


def number_of(values: list[Any], value: object) -> int:
    """Give the place of a value in a list, to which it is added if it is new."""
    if value not in values:
        values.append(value)
    return values.index(value)


SLOTS = {
    "state": "(t % call.slots)",
    "next_state": "((t + 1) % call.slots)",
    "grad_state": "((t + 1) % 2)",
    "grad_before": "(t % 2)",
}
"""Which slot of a buffer belongs to step t; of the others, slot t."""


class Names:
    """The names in one kernel."""

    def __init__(self, schedule: Schedule, tables: Tables) -> None:
        self.schedule, self.tables = schedule, tables
        self.buffers: dict[str, int] = {}
        """Buffers that the step reads or writes, and their widths."""
        self.rows: dict[Node, int] = {}
        """Numbers of the row that are kept over a step: the place of each."""
        self.literals: dict[str, str] = {}
        """Expressions of literals, and the name of each."""
        self.stored: set[Node] = set()
        """What the stages before have stored."""
        self.remembered: dict[Node, int] = {}
        """What loops over the rows have computed and put aside, each thread for itself: the place of each."""

    def size(self, value: int) -> str:
        """Name a size."""
        return "0" if value == 0 else f"d{number_of(self.tables.sizes, value)}"

    def base(self, name: str) -> str:
        """Write where a buffer begins."""
        return f"static_cast<real*>(call.buffers[{number_of(self.tables.buffers, name)}])"

    def slot(self, name: str, slot: str, width: int) -> str:
        """Write where a slot of a buffer begins."""
        return f"{self.base(name)} + ({slot}) * call.batch * {self.size(width)}"

    def address(self, name: str, width: int) -> str:
        """Give where the rows of this step begin in a buffer."""
        base = self.base(home(name))
        kind = name.rstrip("0123456789")
        size = self.size(width)
        if kind in ("vector", "temporary"):
            return base
        if kind == "grad_vector":
            return f"{base} + (s.row_share * s.unit_shares + s.unit_share) * {size}"
        slot = SLOTS.get(kind, "t")
        return f"{base} + {slot} * batch * {size}"

    def at(self, place: Place) -> str:
        """Name an element of a buffer's row r."""
        self.buffers[place.buffer] = place.width
        offset = self.size(place.offset)
        shift = "" if offset == "0" else f" + {offset}"
        if place.buffer.startswith("vector"):
            return f"{place.buffer}{shift}"
        return f"{place.buffer} + r * {self.size(place.width)}{shift}"

    def at_vector(self, place: Place) -> str:
        """Name an element of a buffer that has one row."""
        self.buffers[place.buffer] = place.width
        offset = self.size(place.offset)
        return place.buffer if offset == "0" else f"{place.buffer} + {offset}"

    def remembered_at(self, node: Node) -> str:
        """Name the elements of what was put aside for the row i."""
        return f"m{self.remembered[node]}_ + i * {self.size(node.width)}"

    def source(self, node: Node) -> Place:
        """Give where a node is read that is not computed in place."""
        place = place_of(node, self.schedule.sources)
        assert place is not None
        return place

    def is_stored(self, node: Node) -> bool:
        """Tell whether the row of a node stands in a buffer by now: from before the step, or from an earlier stage."""
        whole = node.inputs[0] if node.op == "slice" and node not in self.stored else node
        return node in self.schedule.given or whole in self.schedule.given or whole in self.stored

    def note(self, node: Node) -> str:
        """Print a node as it reads in the plan, sizes by their names."""
        if node.op == "slice":
            return f"%{node.inputs[0].number}[{self.size(node.attr[0])}:]"
        operands = [self.literal(o) if o.op == "number" else f"%{o.number}" for o in node.inputs]
        operands += [str(item) for item in node.attr]
        return f"%{node.number} = {node.op}({', '.join(operands)})"

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


def home(name: str) -> str:
    """Give the buffer that a name is a slot of."""
    return name.replace("next_state", "state").replace("grad_before", "grad_state")


def plus(term: str) -> str:
    """Write an offset to be added; nothing if it is zero."""
    return "" if term == "0" else f" + {term}"


def expression(node: Node, names: list[str]) -> str:
    """Write a pointwise node with its operands' names."""
    if node.op == "expand":
        return names[0]
    code = OPERATIONS[node.op].code
    return "".join(names["abc".index(token)] if token in ("a", "b", "c") else token for token in _tokens(code))


def _tokens(code: str) -> Iterator[str]:
    """Take code apart into words and single signs."""
    word = ""
    for sign in code:
        if sign.isalnum() or sign in "_:":
            word += sign
        else:
            if word:
                yield word
            word = ""
            yield sign
    if word:
        yield word
