"""What generated code calls things: buffers, matrices and tables by their numbers, and where each value is read.

Each stage is a function of its own, so it has its own parameters; what is known over a whole step, as the numbers of a
row that one stage leaves to the next, is shared by all of them.
"""

from collections.abc import Set
from dataclasses import dataclass, field

from rnnkit_compiler.backends.base.places import Places, number_of
from rnnkit_compiler.backends.triton.code.notes import Notes, literal_of
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.units import Units
from rnnkit_compiler.schedule.buffers import STATE_SLOTS, Buffer, BufferKind, Place
from rnnkit_compiler.schedule.stages import Stages


@dataclass
class Tables:
    """Integers that kernels read: the units that gathers take, and which matrices a product of pieces takes."""

    units: list[Units] = field(default_factory=list)
    matrices: list[tuple[int, ...]] = field(default_factory=list)


@dataclass
class StepNames(Places):
    """What is known over a whole step of one kernel."""

    stages: Stages
    tables: Tables
    rows: dict[Node, int] = field(default_factory=dict)
    """Numbers of the row that earlier stages have left in memory: the place of each."""

    left: dict[Node, str] = field(default_factory=dict)
    """The line that leaves each of these in memory."""

    asked: set[Node] = field(default_factory=set)
    """Those that a later stage asks for."""

    running: dict[Node, int] = field(default_factory=dict)
    """Running values along a row that are put aside: the place of each."""

    widths: list[int] = field(default_factory=list)
    """Of what is put aside: how many units each has."""

    stored: set[Node] = field(default_factory=set)

    buffers: dict[Buffer, int] = field(default_factory=dict)
    """Those that are read or written, and how many numbers of each a row has."""

    held: dict[str, str] = field(default_factory=dict)
    """Columns of weights that may stay on chip over all steps: how they are read, by the names that they have there."""

    notes: Notes = field(default_factory=Notes)
    """What nodes are called, and said to be."""

    low: str = ""
    """Triton's name of the dtype that numbers are kept in, where that is not the one they are computed in."""

    rounded: Set[Node] = frozenset()
    """What is rounded to that dtype as soon as it is computed."""

    def rounding(self, node: Node, name: str) -> list[str]:
        """Return the line that rounds a node, if it is to be rounded."""
        return [f"{name} = {name}.to({self.low}).to(REAL)"] if node in self.rounded else []

    def variable(self, node: Node) -> str:
        """Name the variable of a node."""
        return self.notes.variable(node)


class Names:
    """The names in one function: its parameters, and where the rows of this step begin in each buffer."""

    def __init__(self, step: StepNames) -> None:
        self.step = step
        self.parameters: dict[str, None] = {}
        """In the order in which they are first used."""
        self.beginnings: dict[str, str] = {}
        """Where the rows of this step begin, by name."""
        self.literals: dict[str, str] = {}
        """Numbers that must be tensors, by their text."""

    def parameter(self, name: str) -> str:
        """Return the name of a parameter, which the function has from now on."""
        self.parameters[name] = None
        return name

    def begin(self, buffer: Buffer, width: int) -> str:
        """Name where the rows of this step begin in a buffer; of one that has one row for all, that."""
        base = self.parameter(str(buffer.home))
        self.step.buffers[buffer.home] = width
        if buffer.kind is BufferKind.VECTOR:
            return base
        if buffer.kind is BufferKind.GRAD_VECTOR:
            address = f"{base} + tl.program_id(0).to(tl.int64) * {width}"
        elif buffer.kind is BufferKind.TEMPORARY:
            address = f"{base} + row * {width}"
        else:
            address = f"{base} + ({self._slot(buffer)} * batch + row) * {width}"
        return self.beginnings.setdefault(address, f"{buffer}_at")

    def _slot(self, buffer: Buffer) -> str:
        slot = STATE_SLOTS.get(buffer.kind)
        if slot is None:
            return "t"
        slots = self.parameter("slots") if slot.alternating is None else str(slot.alternating)
        return f"(t % {slots})" if not slot.after else f"((t + {slot.after}) % {slots})"

    def at(self, place: Place, index: str = "") -> str:
        """Name elements of a place: of this step's rows, or of the one row."""
        offset = f" + {place.offset}" if place.offset else ""
        return self.begin(place.buffer, place.width) + offset + (f" + {index}" if index else "")

    def load(self, node: Node) -> str:
        """Read what a node is at the units j, or the one number that each row has of it."""
        place = self.step.source(node)
        if place.buffer.kind is BufferKind.VECTOR:
            if node.width == 1:  # a block, as literals are: the interpreter has no functions of a number without axes
                return f"tl.full((1, 1), tl.load({self.at(place)}), REAL)"
            mask = f", mask=j < {node.width}, other=0.0"
        else:
            mask = f", mask={'run' if node.width == 1 else 'here'}, other=0.0"
        return f"tl.load({self.at(place, '' if node.width == 1 else 'j')}{mask}).to(REAL)"

    def aside(self, node: Node, index: str = "j") -> str:
        """Name running values that are put aside."""
        k = self.step.running[node]
        return f"{self.parameter(f'running{k}')} + row * {node.width} + {index}"

    def number(self, node: Node) -> str:
        """Name a number of the row that an earlier stage has left in memory."""
        return f"{self.parameter('numbers')} + {self.step.rows[node]} * batch + row"

    def literal(self, node: Node, bare: bool) -> str:
        """Write a literal, as it is if it may be `bare`, else as a tensor."""
        text = literal_of(node)
        return text if bare else self.literals.setdefault(text, f"q{len(self.literals)}")

    def units(self, units: Units) -> str:
        """Name a table of units."""
        return self.parameter(f"units{number_of(self.step.tables.units, units)}")

    def matrix(self, number: int, transposed: bool) -> tuple[str, str, str]:
        """Name a matrix, and the steps from row to row and from column to column."""
        rows, columns = (self.parameter(f"w{number}_{axis}") for axis in ("rows", "columns"))
        return self.parameter(f"w{number}"), *((columns, rows) if transposed else (rows, columns))

    def note(self, node: Node) -> str:
        """Say what a node is, for a comment."""
        return self.step.notes.note(node)
