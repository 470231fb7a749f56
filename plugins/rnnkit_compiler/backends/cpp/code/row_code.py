"""Code for the numbers of a row: sums and extremes over its units, and what follows from them."""

from collections.abc import Iterator
from typing import NamedTuple

from rnnkit_compiler.backends.cpp.code.names import Names
from rnnkit_compiler.backends.cpp.code.operations import expression
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.kinds import RUNNING
from rnnkit_compiler.ir.operations import OPERATIONS
from rnnkit_compiler.schedule.buffers import BufferKind, Store
from rnnkit_compiler.schedule.stages import Stage


class Fold(NamedTuple):
    """How a loop over the units of a row makes one number of them: what it starts from, each step, the end."""

    neutral: str
    step: str
    across: str


FOLDS = {
    "sum": Fold("0", "{} + {}", "hsum"),
    "max": Fold("-INFINITY", "vmax({}, {})", "hmax"),
    "min": Fold("INFINITY", "vmin({}, {})", "hmin"),
}


class RowCode:
    """Writes what a stage does before its regions."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self._again: set[Node] = set()

    def lines(self, stage: Stage) -> Iterator[str]:
        """Return the lines of a stage."""
        if not stage.reductions and not stage.row_stores:
            return
        self._again = self._needed_again(stage)
        yield "        for (int i = s.first_live; i < s.live; ++i) {"
        yield "            const std::ptrdiff_t r = s.rows[i];"
        yield "            (void)r;"
        known: dict[Node, str] = {}
        for group in stage.reductions:
            if group[0].op in FOLDS:
                yield from self._row_loop(group, known)
            elif group[0].op in RUNNING:
                yield from self._row_running(group[0], known)
                continue
            else:
                (node,) = group
                yield from self._row_node(node, known)
            for node in group:
                place = self.names.rows.setdefault(node, len(self.names.rows))
                known[node] = f"n{node.number}"
                yield f"            numbers[{place} * batch + i] = n{node.number}[0];"
        for store in stage.row_stores:
            yield from self._store_row(store, known)
        yield "        }"

    def _needed_again(self, stage: Stage) -> set[Node]:
        """Choose what takes long to compute and is wanted by several loops, or by the regions as well."""
        groups = [self._computed(group) for group in stage.reductions if group[0].op in FOLDS]
        groups += [set(region.nodes) for region in stage.regions]
        seen: set[Node] = set()
        again: set[Node] = set()
        for nodes in groups:
            again |= {node for node in seen & nodes if node.op in OPERATIONS and OPERATIONS[node.op].heavy}
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

    def _row_value(self, node: Node, known: dict[Node, str]) -> Iterator[str]:
        """Make a number of the row known by name, as a vector of equal lanes."""
        if node in known:
            return
        name = f"n{node.number}"
        if node.op == "number":
            known[node] = self.names.literal(node)
            return
        if node in self.names.rows:
            value = f"broadcast(numbers[{self.names.rows[node]} * batch + i])"
        else:
            value = f"broadcast(({self.names.at(self.names.source(node))})[0])"
        known[node] = name
        yield f"            const vec {name} = {value};"

    def _row_node(self, node: Node, known: dict[Node, str]) -> Iterator[str]:
        if node.op == "slice":  # what it is cut from is a whole row, no number of it
            yield f"            const vec n{node.number} = broadcast(({self.names.at(self.names.source(node))})[0]);"
            return
        for operand in node.inputs:
            yield from self._row_value(operand, known)
        names = [known[operand] for operand in node.inputs]
        yield f"            const vec n{node.number} = {expression(node.op, names)};  // {self.names.note(node)}"

    def _row_loop(self, group: list[Node], known: dict[Node, str]) -> Iterator[str]:
        """Add up, or take the largest or smallest of, expressions over the units of a row."""
        inside: list[str] = []
        local = dict(known)
        outside: list[str] = []
        for node in group:
            outside += self._inline(node.inputs[0], local, known, inside)
        new = self._again.intersection(local).difference(self.names.remembered)
        for node in sorted(new, key=lambda node: node.number):  # the same order in every process
            self.names.remembered[node] = len(self.names.remembered)
            inside.append(f"put<full>({self.names.remembered_at(node)} + j, {local[node]}, left);")
        yield from outside
        for node in group:
            yield f"            vec n{node.number}_lanes = broadcast({FOLDS[node.op].neutral});"
        width = self.names.size(group[0].inputs[0].width)
        yield f"            each_vector({width}, [&](auto whole, int j, int left) __attribute__((always_inline)) {{"
        yield "                constexpr bool full = decltype(whole)::full;"
        yield "                (void)j, (void)left;"
        yield from (f"                {line}" for line in inside)
        for node in group:
            lanes, fold = f"n{node.number}_lanes", FOLDS[node.op]
            value = f"kept<full>({local[node.inputs[0]]}, left, {fold.neutral})"
            yield f"                {lanes} = {fold.step.format(lanes, value)};"
        yield "            });"
        for node in group:
            folded = f"broadcast({FOLDS[node.op].across}(n{node.number}_lanes))"
            yield f"            const vec n{node.number} = {folded};  // {self.names.note(node)}"

    def _row_running(self, node: Node, known: dict[Node, str]) -> Iterator[str]:
        """Put aside the running values along a row."""
        inside: list[str] = []
        local = dict(known)
        outside = [line for operand in node.inputs for line in self._inline(operand, local, known, inside)]
        self.names.remembered.setdefault(node, len(self.names.remembered))
        reverse, start = node.attr if node.op == "scan" else (False, "-INFINITY")
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

    def _inline(self, node: Node, local: dict[Node, str], known: dict[Node, str], inside: list[str]) -> list[str]:
        """Write what a loop over a row computes for `node` into `inside`; returns what stands before the loop."""
        before: list[str] = []
        if node in local:
            return before
        if node.op == "number":
            local[node] = self.names.literal(node)
        elif node.width == 1:
            before += self._row_value(node, known)
            local[node] = known[node]
        elif node in self.names.remembered:
            inside.append(f"const vec x{node.number} = get<full>({self.names.remembered_at(node)} + j, left);")
            local[node] = f"x{node.number}"
        elif self.names.is_stored(node):
            inside.append(f"const vec x{node.number} = get<full>({self.names.at(self.names.source(node))} + j, left);")
            local[node] = f"x{node.number}"
        else:
            for operand in node.inputs:
                before += self._inline(operand, local, known, inside)
            names = [local[operand] for operand in node.inputs]
            inside.append(f"const vec x{node.number} = {expression(node.op, names)};  // {self.names.note(node)}")
            local[node] = f"x{node.number}"
        return before

    def _store_row(self, store: Store, known: dict[Node, str]) -> Iterator[str]:
        yield from self._row_value(store.node, known)
        value = f"{known[store.node]}[0]"
        kind = store.place.buffer.kind
        if kind is BufferKind.GRAD_VECTOR:
            yield f"            if (s.first()) ({self.names.at_vector(store.place)})[0] += {value};"
        elif kind is BufferKind.Y:
            yield f"            if (call.y_apart) ({self.names.at(store.place)})[0] = {value};"
        else:
            yield f"            ({self.names.at(store.place)})[0] = {value};"
