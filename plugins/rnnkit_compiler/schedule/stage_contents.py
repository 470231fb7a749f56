"""Assignment, the second pass: what each stage computes and stores; see `stages` for an example.

It goes from the last stage to the first: each asks the ones before it for what it reads.
"""

from collections.abc import Sequence

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.kinds import REDUCTIONS, ROW_LOOPS, RUNNING, WHOLE
from rnnkit_compiler.schedule.buffers import Buffer, BufferKind, Place, Store, by_operand, place_of
from rnnkit_compiler.schedule.stages import ColumnBlock, Product, Region, Stage, Stages, WholeRows
from rnnkit_compiler.schedule.timing import Timing

READABLE = (
    *(BufferKind.NEXT_STATE, BufferKind.KEPT, BufferKind.SAVED),
    *(BufferKind.OPERAND, BufferKind.GRAD_PRODUCT, BufferKind.GRAD_PART),
)
"""Buffers of results that a later stage of the same step may read."""

CARRIED = (BufferKind.GRAD_BEFORE,)
"""Buffers that are written as those, and read by the next step alone."""


def stages_of(results: Sequence[Store], sources: dict[Node, Place]) -> Stages:
    """Order what gives `results` into stages.

    Args:
        results: what is to be stored; concatenations go operand by operand.
        sources: nodes that are read from buffers.
    """
    return _Assignment(results, sources).run()


class _Assignment:
    """Fills the stages of one step."""

    def __init__(self, results: Sequence[Store], sources: dict[Node, Place]) -> None:
        self._given = sources
        self.sources = dict(sources)
        self.temporaries: dict[Buffer, int] = {}
        self.timing = Timing(results, sources)
        self.stores: dict[int, list[Store]] = {}
        self._later_rows: dict[int, dict[Node, None]] = {}
        self._own: dict[Node, Store] = {}
        """The store of each node of whole rows that it is computed to; others copy from there."""
        for store in sorted(by_operand(results), key=lambda store: store.place.buffer.kind not in READABLE):
            self._store(store)
        readable = [store for store in results if store.place.buffer.kind in READABLE]
        self._results = {store.node: store.place for store in (*by_operand(readable), *readable)}

    def run(self) -> Stages:
        """Fill the stages, the last one first."""
        count = max(self.stores, default=0) + 1
        stages = [self._stage(stage) for stage in reversed(range(count))]
        return Stages(stages[::-1], self.sources, self.temporaries, set(self._given))

    def _store(self, store: Store) -> None:
        stage = self.timing.stage[store.node]
        if store.node.op in WHOLE and not self.timing.is_read(store.node):
            if store.place.buffer.kind in (*READABLE, *CARRIED, BufferKind.TEMPORARY) and store.node not in self._own:
                self._own[store.node] = store
            else:
                stage += 1
        self.stores.setdefault(stage, []).append(store)

    def _place(self, node: Node) -> Place:
        """Return where a node computed in an earlier stage is read; have it stored if it is not."""
        place = place_of(node, self.sources)
        if place is not None:
            return place
        if node.op == "slice" and not self.timing.is_product(node):
            whole = self._place(node.inputs[0])  # never by itself, or its own copy would be what it is read from
            return whole._replace(offset=whole.offset + node.attr[0])
        known = self._own[node].place if node in self._own else self._results.get(node)
        if known is not None:
            self.sources[node] = known
            return known
        buffer = Buffer(BufferKind.TEMPORARY, len(self.temporaries))
        self.temporaries[buffer] = node.width
        place = Place(buffer, node.width)
        self.sources[node] = place
        for store in by_operand([Store(node, place)]):
            self._store(store)
        return place

    def _stage(self, number: int) -> Stage:
        stage = Stage()
        wanted_rows: dict[Node, None] = {}
        regions: dict[int, Region] = {}
        for store in self.stores.get(number, []):
            if self._own.get(store.node) is store:
                operands = tuple(self._place(operand) for operand in store.node.inputs)
                stage.whole.append(WholeRows(store.node, operands, store.place))
            elif store.node.width > 1 or self.timing.is_product(store.node):
                regions.setdefault(store.node.width, Region(store.node.width)).stores.append(store)
            else:
                stage.row_stores.append(store)
                wanted_rows[store.node] = None
        for region in regions.values():
            self._fill(region, number, wanted_rows)
        stage.regions = list(regions.values())
        wanted_rows |= self._later_rows.get(number, {})
        stage.reductions = self._reductions(number, wanted_rows)
        return stage

    def _want_row(self, node: Node, number: int, rows: dict[Node, None]) -> None:
        """Ask for a number of the row, in the stage that computes it."""
        if self.timing.is_read(node):
            return
        stage = self.timing.stage[node]
        if stage == number:
            rows[node] = None
        else:
            self._later_rows.setdefault(stage, {})[node] = None

    def _fill(self, region: Region, number: int, rows: dict[Node, None]) -> None:
        """Collect the nodes of a region, and ask for what it reads from elsewhere."""
        chosen: dict[Node, None] = {}
        stack = [store.node for store in region.stores]
        while stack:
            node = stack.pop()
            if node in chosen or self.timing.is_read(node):
                continue
            if not self.timing.is_by_unit(node) or (node.op in RUNNING and self.timing.stage[node] == number):
                self._want_row(node, number, rows)
            elif self.timing.stage[node] < number or node.width != region.width:
                self._place(node)
            elif not self.timing.is_product(node) and node.op == "slice":
                self._place(node.inputs[0])
            else:
                chosen[node] = None
                if node.op == "gather":
                    self._place(node.inputs[0])
                elif not self.timing.is_product(node):
                    stack += node.inputs
        region.nodes = sorted(
            (node for node in chosen if not self.timing.is_product(node)), key=self.timing.order.__getitem__
        )
        products: dict[tuple[Place, int], list[ColumnBlock]] = {}  # by where they read, and how many columns
        for node in sorted(
            (node for node in chosen if self.timing.is_product(node)), key=self.timing.order.__getitem__
        ):
            product, offset = (node, 0) if node.op == "product" else (node.inputs[0], node.attr[0])
            matrix, transposed = product.attr
            block = ColumnBlock(node, matrix, transposed, offset)
            products.setdefault((self._place(product.inputs[0]), block.depth), []).append(block)
        for (place, _), blocks in products.items():
            blocks.sort(key=lambda block: (block.matrix, block.transposed, block.offset))
            region.products.append(Product(place, tuple(blocks)))

    def _reductions(self, number: int, wanted: dict[Node, None]) -> list[list[Node]]:
        """Order the numbers of a row; sums and maxima of one width that wait for nothing share a loop."""
        nodes: dict[Node, None] = {}
        waits: dict[Node, set[Node]] = {}
        stack = list(wanted)
        while stack:
            node = stack.pop()
            if node in nodes or self.timing.is_read(node):
                continue
            if self.timing.stage[node] < number:
                self._want_row(node, number, {})
                continue
            nodes[node] = None
            waits[node] = self._row_operands(node, number)
            stack += sorted(waits[node], key=self.timing.order.__getitem__)  # a set's own order is of addresses
        groups: list[list[Node]] = []
        done: set[Node] = set()
        left = sorted(nodes, key=self.timing.order.__getitem__)
        while left:
            free = [node for node in left if all(w in done or w not in nodes for w in waits[node])]
            loops = [node for node in free if node.op in REDUCTIONS]
            same = [node for node in loops if node.inputs[0].width == loops[0].inputs[0].width]
            single = [node for node in free if node.op not in REDUCTIONS]
            group = [[node] for node in single] or [same]
            groups += group
            done.update(node for nodes_ in group for node in nodes_)
            left = [node for node in left if node not in done]
        return groups

    def _row_operands(self, node: Node, number: int) -> set[Node]:
        """Return the numbers of the row that a node of the row waits for; have stored what it reads by the unit."""
        if node.op not in ROW_LOOPS:
            numbers = set()
            for operand in node.inputs:
                if self.timing.is_read(operand):
                    continue
                if self.timing.is_by_unit(operand):
                    self._place(operand)
                else:
                    numbers.add(operand)
            return numbers
        numbers = set()
        stack = list(node.inputs)
        while stack:
            top = stack.pop()
            if self.timing.is_read(top):
                continue
            if not self.timing.is_by_unit(top):
                numbers.add(top)
            elif self.timing.is_inlined(top, number):
                stack += top.inputs
            elif top.op == "slice" and not self.timing.is_product(top):
                self._place(top.inputs[0])
            else:
                self._place(top)
        return numbers
