"""Code for the numbers of a row: sums and extremes over its units, and what follows from them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rnnkit_compiler.backends.cpp.code.names import Names, plus
from rnnkit_compiler.backends.cpp.code.operations import expression
from rnnkit_compiler.backends.cpp.code.region_code import FETCHED
from rnnkit_compiler.ir.graph import Node, needed
from rnnkit_compiler.ir.kinds import ROW_LOOPS, RUNNING
from rnnkit_compiler.ir.operations import OPERATIONS
from rnnkit_compiler.schedule.buffers import BufferKind, Place, Store
from rnnkit_compiler.schedule.stages import Stage, Stages


class Fold(NamedTuple):
    """How a loop over the units of a row makes one number of them: what it starts from, each step, the end."""

    neutral: str
    step: str
    across: str


FOLDS = {
    "sum": Fold("0", "{} + {}", "hsum"),
    "max": Fold("-__builtin_inf()", "vmax({}, {})", "hmax"),
    "min": Fold("__builtin_inf()", "vmin({}, {})", "hmin"),
}


MANY = 6
"""Operations from which on it takes longer to compute something again than to put it aside and read it."""


SHORT = 8
"""Lines of a loop over a row up to which it has two vectors for a sum: with one, each addition waits for the last."""


class RowCode:
    """Writes what a stage does before its regions, some rows at a time.

    Loops over the units go row by row and leave a number for each. What follows from these alone is computed for all
    of the rows at once, a lane for each: it is a chain of few operations, which would wait for each other row by row.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self._again: set[Node] = set()
        self._fetched: set[Place] = set()
        """What a loop over the rows of this stage asks for some rows ahead."""
        self._read = read_by_row(names.stages)

    def lines(self, stage: Stage) -> Iterator[str]:
        """Return the lines of a stage."""
        self.names.visited = set()
        self._fetched = set()
        if not stage.reductions and not stage.row_stores:
            return
        self._again = self._needed_again(stage)
        sums = [store for store in stage.row_stores if store.place.buffer.kind is BufferKind.GRAD_VECTOR]
        if sums:
            yield f"        {{ real {', '.join(f'total{k} = 0' for k in range(len(sums)))};"
        yield "        for (int first = s.first_live; first < s.live; first += ROWS_AT_ONCE) {"
        yield "            const int count = at_most(s.live - first, ROWS_AT_ONCE);"
        known: dict[Node, str] = {}
        for group in stage.reductions:
            if group[0].op in FOLDS:
                for node in group:
                    self.names.rows.setdefault(node, len(self.names.rows))
                yield from _row_by_row(self._row_loop(group))
            elif group[0].op in RUNNING:
                yield from _row_by_row(self._row_running(group[0]))
            else:
                yield from self._row_node(group[0], known)
        if stage.row_stores:
            yield from (f"            real sum{k} = 0;" for k in range(len(sums)))
            yield from _row_by_row(line for store in stage.row_stores for line in self._store_row(store, sums))
            yield from (f"            total{k} += sum{k};" for k in range(len(sums)))
        yield "        }"
        for k, store in enumerate(sums):
            yield f"        if (s.first()) ({self.names.at_vector(store.place)})[0] += total{k};"
        if sums:
            yield "        }"

    def _needed_again(self, stage: Stage) -> set[Node]:
        """Choose what takes long to compute and is wanted by several loops, or by the regions as well."""
        groups = [
            (self._computed(group), {node.inputs[0] for node in group})
            for group in stage.reductions
            if group[0].op in FOLDS
        ]
        groups += [(set(region.nodes), {store.node for store in region.stores}) for region in stage.regions]
        seen: set[Node] = set()
        again: set[Node] = set()
        for nodes, wanted in groups:
            common = seen & nodes
            read = wanted.union(operand for node in nodes - common for operand in node.inputs) & common
            for node in sorted(read, key=lambda node: node.number):
                if _takes_long(node, common - again):
                    again.add(node)
            seen |= nodes
        return again

    def _computed(self, group: list[Node]) -> set[Node]:
        """Return what a loop over the row computes."""
        computed: set[Node] = set()
        stack = [node.inputs[0] for node in group]
        while stack:
            node = stack.pop()
            if node not in computed and node.width > 1 and not self.names.is_stored(node):
                computed.add(node)
                stack += node.inputs
        return computed

    def _row_node(self, node: Node, known: dict[Node, str]) -> Iterator[str]:
        """Compute a number of the row from others, for all of the rows at once."""
        if node.op == "slice":  # what it is cut from is a whole row, no number of it
            yield from self._lanes(node, known)
        else:
            for operand in node.inputs:
                yield from self._lanes(operand, known)
            value = expression(node.op, [known[operand] for operand in node.inputs])
            known[node] = f"n{node.number}"
            yield f"            const vec n{node.number} = {value};  // {self.names.note(node)}"
        if node in self._read:
            place = self.names.rows.setdefault(node, len(self.names.rows))
            yield f"            store_n(numbers + {place} * batch + first, {known[node]}, count);"

    def _lanes(self, node: Node, known: dict[Node, str]) -> Iterator[str]:
        """Make a number of the row known by name, as a vector with a lane for each of the rows."""
        if node in known:
            return
        if node.op == "number":
            known[node] = self.names.literal(node)
            return
        known[node] = f"n{node.number}"
        if node in self.names.rows:
            value = f"load_n(numbers + {self.names.rows[node]} * batch + first, count)"
        else:
            value = self._from_rows(self.names.source(node))
        yield f"            const vec n{node.number} = {value};  // {self.names.note(node)}"

    def _from_rows(self, place: Place) -> str:
        if place.buffer.kind is BufferKind.VECTOR:
            return f"broadcast(({self.names.at_vector(place)})[0])"
        self.names.buffers[place.buffer] = place.width
        at = f"{place.buffer}{plus(self.names.size(place.offset))}"
        return f"of_rows(s, {at}, {self.names.size(place.width)}, first, count)"

    def _row_value(self, node: Node) -> str:
        """Write a number of the row i."""
        if node in self.names.rows:
            return f"numbers[{self.names.rows[node]} * batch + i]"
        return f"({self.names.at(self.names.source(node))})[0]"

    def _row_loop(self, group: list[Node]) -> Iterator[str]:
        """Add up, or take the largest or smallest of, expressions over the units of a row."""
        inside: list[str] = []
        local: dict[Node, str] = {}
        outside = [line for node in group for line in self._inline(node.inputs[0], local, inside)]
        new = self._again.intersection(local).difference(self.names.remembered)
        for node in sorted(new, key=lambda node: node.number):  # the same order in every process
            self.names.remembered[node] = len(self.names.remembered)
            inside.append(f"put<full>({self.names.remembered_at(node)} + j, {local[node]}, left);")
        yield from outside
        turns = 2 if len(inside) <= SHORT else 1
        for node in group:
            yield f"            Lanes<{turns}> n{node.number}_lanes({FOLDS[node.op].neutral});"
        width = self.names.size(group[0].inputs[0].width)
        each = "each_vector" if turns == 1 else "every_other_vector"
        taken = "auto whole, int j, int left" if turns == 1 else "auto whole, auto turn, int j, int left"
        yield f"            {each}({width}, [&]({taken}) __attribute__((always_inline)) {{"
        yield "                constexpr bool full = decltype(whole)::full;"
        yield "                (void)j, (void)left;"
        yield from (f"                {line}" for line in inside)
        for node in group:
            lanes, fold = f"n{node.number}_lanes.of[{'0' if turns == 1 else 'turn'}]", FOLDS[node.op]
            value = f"kept<full>({local[node.inputs[0]]}, left, {fold.neutral})"
            yield f"                {lanes} = {fold.step.format(lanes, value)};"
        yield "            });"
        for node in group:
            lanes, fold = f"n{node.number}_lanes.of", FOLDS[node.op]
            all_of_them = f"{lanes}[0]" if turns == 1 else fold.step.format(f"{lanes}[0]", f"{lanes}[1]")
            yield f"            {self._row_value(node)} = {fold.across}({all_of_them});  // {self.names.note(node)}"

    def _row_running(self, node: Node) -> Iterator[str]:
        """Put aside the running values along a row."""
        inside: list[str] = []
        local: dict[Node, str] = {}
        outside = [line for operand in node.inputs for line in self._inline(operand, local, inside)]
        self.names.remembered.setdefault(node, len(self.names.remembered))
        reverse, start = node.attr if node.op == "scan" else (False, "-__builtin_inf()")
        given = ", ".join([*(local[operand] for operand in node.inputs), "left", f"y{node.number}"])
        value = f"running<{str(reverse).lower()}, full>({given})" if node.op == "scan" else f"peak<full>({given})"
        loop = f"each_vector{'_back' * reverse}({self.names.size(node.width)}, [&](auto whole, int j, int left)"
        yield from outside
        yield f"            double y{node.number} = {start};"
        yield f"            {loop} __attribute__((always_inline)) {{"
        yield "                constexpr bool full = decltype(whole)::full;"
        yield from (f"                {line}" for line in inside)
        yield f"                const vec x{node.number} = {value};  // {self.names.note(node)}"
        yield f"                put<full>({self.names.remembered_at(node)} + j, x{node.number}, left);"
        yield "            });"

    def _inline(self, node: Node, local: dict[Node, str], inside: list[str]) -> list[str]:
        """Write what a loop over a row computes for `node` into `inside`; returns what stands before the loop."""
        before: list[str] = []
        if node in local:
            return before
        if node.op == "number":
            local[node] = self.names.literal(node)
        elif node.width == 1:
            local[node] = f"n{node.number}"
            before.append(f"            const vec n{node.number} = broadcast({self._row_value(node)});")
        elif node in self.names.remembered:
            inside.append(f"const vec x{node.number} = get<full>({self.names.remembered_at(node)} + j, left);")
            local[node] = f"x{node.number}"
        elif self.names.is_stored(node):
            source = self.names.source(node)
            self.names.visited.add(source.buffer)
            inside.append(f"const vec x{node.number} = get<full>({self.names.at(source)} + j, left);")
            if source.buffer.kind in FETCHED and self._is_given(node) and source not in self._fetched:
                self._fetched.add(source)
                inside.append(f"fetch_one({self.names.at(source, 'ahead')} + j);")
            local[node] = f"x{node.number}"
        else:
            for operand in node.inputs:
                before += self._inline(operand, local, inside)
            names = [local[operand] for operand in node.inputs]
            inside.append(f"const vec x{node.number} = {expression(node.op, names)};  // {self.names.note(node)}")
            local[node] = f"x{node.number}"
        return before

    def _is_given(self, node: Node) -> bool:
        """Tell whether a node is there before the step."""
        given = self.names.stages.given
        return node in given or (node.op == "slice" and node.inputs[0] in given)

    def _store_row(self, store: Store, sums: list[Store]) -> Iterator[str]:
        literal = store.node.op == "number"
        value = f"{self.names.literal(store.node)}[0]" if literal else self._row_value(store.node)
        kind = store.place.buffer.kind
        if kind is BufferKind.GRAD_VECTOR:
            yield f"            sum{sums.index(store)} += {value};"
        elif kind is BufferKind.Y:
            yield f"            if (call.y_apart) ({self.names.at(store.place)})[0] = {value};"
        else:
            yield f"            ({self.names.at(store.place)})[0] = {value};"


def _takes_long(node: Node, nodes: set[Node]) -> bool:
    """Whether it takes a heavy operation or many others of these nodes to compute a node."""
    found: set[Node] = set()
    stack = [node]
    while stack:
        inner = stack.pop()
        if inner in nodes and inner not in found:
            found.add(inner)
            stack += inner.inputs
    own = [inner for inner in found if inner.op in OPERATIONS]
    return len(own) >= MANY or any(OPERATIONS[inner.op].heavy for inner in own)


def _row_by_row(lines: Iterable[str]) -> Iterator[str]:
    yield "            for (int i = first; i < first + count; ++i) {"
    yield "            const std::ptrdiff_t r = s.rows[i], ahead = s.ahead(i);"
    yield "            (void)r, (void)ahead;"
    yield from lines
    yield "            }"


def read_by_row(stages: Stages) -> set[Node]:
    """Find what loops over the units of a row read, or another stage, or what is stored: all but numbers of numbers."""
    reduced = [node for stage in stages.stages for group in stage.reductions for node in group]
    read = set(needed(operand for node in reduced if node.op in ROW_LOOPS for operand in node.inputs))
    for stage in stages.stages:
        own = {node for group in stage.reductions for node in group}
        read.update(operand for node in own for operand in node.inputs if operand not in own)
        read.update(store.node for store in stage.row_stores)
        for region in stage.regions:
            read.update(operand for node in region.nodes for operand in node.inputs)
            read.update(store.node for store in region.stores)
    return read
