"""Code for the numbers of a row: sums and extremes over its units, running values, and what follows from them."""

from collections.abc import Iterator
from typing import NamedTuple

from rnnkit_compiler.backends.triton.code.loops import Values, all_units, indented
from rnnkit_compiler.backends.triton.code.names import Names
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.kinds import RUNNING
from rnnkit_compiler.schedule.buffers import BufferKind, Store
from rnnkit_compiler.schedule.stages import Stage


class Fold(NamedTuple):
    """How blocks of units become one number of a row: what it starts from, the fold of a block, that of two folds."""

    neutral: str
    block: str
    joined: str


FOLDS = {
    "sum": Fold("0.0", "total", "{} + {}"),
    "max": Fold('-float("inf")', "largest", "larger({}, {})"),
    "min": Fold('float("inf")', "smallest", "smaller({}, {})"),
}


class RowCode:
    """Writes what a stage does before its regions. Programs that share the units of a row all do it."""

    def __init__(self, names: Names, leaves: bool) -> None:
        self.names, self._leaves = names, leaves
        """Whether later stages may ask for the numbers."""

    def lines(self, stage: Stage, values: Values) -> Iterator[str]:
        """Return the lines of a stage, and let `values` know its numbers."""
        for group in stage.reductions:
            if group[0].op in FOLDS:
                yield from self._fold(group, values)
            elif group[0].op in RUNNING:
                yield from self._running(group[0], values)
                continue
            else:
                yield from self._single(group[0], values)
            for node in group if self._leaves else ():
                self.names.step.rows[node] = len(self.names.step.rows)
                line = f"tl.store({self.names.number(node)}, {values.known[node]}, mask=run)"
                self.names.step.left[node] = line
                yield line
        for store in stage.row_stores:
            yield from self._store(store, values)

    def _single(self, node: Node, values: Values) -> Iterator[str]:
        """Compute a number of others; one that is cut from a whole row is read."""
        if node.op == "slice":
            values.operand(node)
        else:
            values.compute(node)
        yield from _taken(values)

    def _fold(self, group: list[Node], values: Values) -> Iterator[str]:
        """Fold expressions over the units of a row."""
        width = group[0].inputs[0].width
        called = {node: self.names.step.variable(node) for node in group}
        for node in group:
            yield f"{called[node]} = tl.full((ROWS, 1), {FOLDS[node.op].neutral}, REAL)"
        inside = values.inside()
        for node in group:
            folded = f"{FOLDS[node.op].block}({inside.inline(node.inputs[0])}, here)"
            value = FOLDS[node.op].joined.format(called[node], folded)
            inside.lines.append(f"{called[node]} = {value}  # {self.names.note(node)}")
        yield from all_units(width)
        yield from indented(inside.lines)
        values.known |= called
        for node in group:
            yield from self.names.step.rounding(node, values.known[node])

    def _running(self, node: Node, values: Values) -> Iterator[str]:
        """Put aside the running values along a row, in double, as torch adds up."""
        step = self.names.step
        reverse, start = node.attr if node.op == "scan" else (False, -float("inf"))
        inside = values.inside()
        operands = [inside.inline(operand) for operand in node.inputs]
        step.running[node] = len(step.running)
        step.widths.append(node.width)
        yield f'y{node.number} = tl.full((ROWS, 1), float("{start}"), tl.float64)'
        yield f"for turn in range({node.width}):"
        unit = f"{node.width - 1} - turn" if reverse else "turn"
        body = [f"j = {unit} + tl.arange(0, 1)[None, :]", f"here = run & (j < {node.width})", *inside.lines]
        if node.op == "scan":
            a, b = operands
            body.append(f"y{node.number} = {_double(a)} * y{node.number} + {_double(b)}  # {self.names.note(node)}")
        else:
            larger = f"larger(y{node.number}, {_double(operands[0])})"
            body.append(f"y{node.number} = {larger}  # {self.names.note(node)}")
        body.append(f"tl.store({self.names.aside(node)}, y{node.number}, mask=here)")
        yield from indented(body)
        yield "tl.debug_barrier()"

    def _store(self, store: Store, values: Values) -> Iterator[str]:
        value = values.operand(store.node)
        yield from _taken(values)
        at, buffer = self.names.at(store.place), store.place.buffer
        if buffer.kind is BufferKind.GRAD_VECTOR:
            yield "if tl.program_id(1) == 0:"
            yield f"    tl.store({at}, tl.load({at}) + tl.sum(tl.where(run, {value}, 0.0).to(REAL)))"
        elif buffer.kind is BufferKind.Y:
            yield from _if_apart(f"tl.store({at}, {value}, mask=run)", self.names)
        else:
            yield f"tl.store({at}, {value}, mask=run)"


def _double(name: str) -> str:
    return f"{name}.to(tl.float64)"


def _taken(values: Values) -> list[str]:
    """Take out the lines that have come together."""
    lines, values.lines = values.lines, []
    return lines


def _if_apart(line: str, names: Names) -> Iterator[str]:
    yield f"if {names.parameter('y')} is not None:"
    yield f"    {line}"
