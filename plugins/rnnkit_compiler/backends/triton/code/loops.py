"""Code inside a loop over the units of a row: what is computed there for units j of each row."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from rnnkit_compiler.backends.triton.code.names import Names
from rnnkit_compiler.backends.triton.code.operations import INFIX, expression
from rnnkit_compiler.ir.graph import Node

INDENT = "    "


def indented(lines: Iterable[str]) -> Iterator[str]:
    """Put lines inside something."""
    return (f"{INDENT}{line}" for line in lines)


def own_units(width: int) -> Iterator[str]:
    """Begin a loop over the blocks of units that this program has; what is in it comes behind."""
    yield f"for u in tl.range(tl.program_id(1) * UNITS, {width}, tl.num_programs(1) * UNITS, num_stages=1):"
    yield from indented(_block(width))


def all_units(width: int) -> Iterator[str]:
    """Begin a loop over all blocks of units."""
    yield f"for u in range(0, {width}, UNITS):"
    yield from indented(_block(width))


def _block(width: int) -> Iterator[str]:
    yield "j = u + tl.arange(0, UNITS)[None, :]"
    yield f"here = run & (j < {width})"


class Values:
    """Values that are known by name at one place of a function, and the lines that make them known."""

    def __init__(self, names: Names, known: Mapping[Node, str] | None = None) -> None:
        self.names, self.known, self.lines = names, dict(known or {}), list[str]()

    def inside(self) -> "Values":
        """Return what is known inside a loop that begins here."""
        return Values(self.names, self.known)

    def define(self, node: Node, value: str, name: str = "", operands: Collection[str] = ()) -> None:
        """Make a node known as the value of an expression, and say what the literals among its operands are."""
        self.known[node] = name or self.names.step.variable(node)
        literals = (f"{name} = {text}" for text, name in self.names.literals.items() if name in operands)
        note = "; ".join(filter(None, (self.names.step.notes.remark(node), *literals)))
        note = f"  # {note}" if note else ""
        self.lines.append(f"{self.known[node]} = {value}{note}")

    def operand(self, node: Node, bare: bool = False) -> str:
        """Return the name of what is computed already or read: a literal, a number of the row, or from a buffer."""
        if node.op == "number":
            return self.names.literal(node, bare)
        if node not in self.known:
            if node in self.names.step.rows:
                self.names.step.asked.add(node)
                self.define(node, f"tl.load({self.names.number(node)}, mask=run, other=0.0)")
            elif node in self.names.step.running:
                self.define(node, f"tl.load({self.names.aside(node)}, mask=here, other=0.0)")
            else:
                self.define(node, self.names.load(node))
        return self.known[node]

    def compute(self, node: Node, name: str = "") -> None:
        """Compute a pointwise node of operands that are known or read."""
        numbers = sum(operand.op == "number" for operand in node.inputs)
        bare = node.op in INFIX and numbers < len(node.inputs)
        operands = [self.operand(operand, bare) for operand in node.inputs]
        self.define(node, expression(node.op, operands, self.names.step.low), name, operands)
        self.lines += self.names.step.rounding(node, self.known[node])

    def inline(self, node: Node) -> str:
        """Return the name of a node which is computed here, down to what is known or stands in a buffer."""
        step = self.names.step
        held = node in self.known or node in step.rows or node in step.running or step.is_stored(node)
        if node.op == "number" or node.width == 1 or held:
            return self.operand(node)
        for operand in node.inputs:
            if operand.op != "number":
                self.inline(operand)
        self.compute(node)
        return self.known[node]
