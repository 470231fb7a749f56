"""The stages of a step: what can be computed unit by unit without waiting for another unit of the same row.

A stage begins with numbers that hold for a whole row (sums, maxima, and what follows from them), then goes through the
units block by block: products with the weights' columns of that block, and the pointwise operations on their results
while they are still in the first cache. A product reads whole rows, so what it reads ends the stage before it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from rnnkit_compiler.ir.graph import REDUCTIONS, Node, needed


class Place(NamedTuple):
    """Where a value is kept: a buffer with a row of `width` numbers for each row of the batch, from `offset` on."""

    buffer: str
    width: int
    offset: int = 0


class Gate(NamedTuple):
    """Columns of a matrix by which the rows of a buffer are multiplied, and the node that it gives."""

    node: Node
    matrix: int
    turned: bool
    offset: int


class Product(NamedTuple):
    """The gates of one region that multiply the same rows."""

    operand: Place
    gates: tuple[Gate, ...]


class Store(NamedTuple):
    """A node and where it goes."""

    node: Node
    place: Place


@dataclass
class Region:
    """The units of one width in one stage: products, pointwise nodes in order, and stores."""

    width: int
    products: list[Product] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)


@dataclass
class Stage:
    """What lies between two barriers."""

    reductions: list[list[Node]] = field(default_factory=list)
    """Groups of one number a row each, in order: sums and maxima that share a loop, or a pointwise node alone."""

    row_stores: list[Store] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)


@dataclass
class Schedule:
    """The stages of a step, and the buffers that carry values from one to the next."""

    stages: list[Stage]
    sources: dict[Node, Place]
    """Where each node that is not computed in place is read."""

    temporaries: dict[str, int]
    """Width of each."""

    given: set[Node]
    """The sources that are there before the step."""


def place_of(node: Node, sources: Mapping[Node, Place]) -> Place | None:
    """Give where a node is read, if it or what it is cut from stands in a buffer."""
    if node in sources:
        return sources[node]
    if node.op == "slice" and node.inputs[0] in sources:
        place = sources[node.inputs[0]]
        return place._replace(offset=place.offset + node.attr[0])
    return None


def schedule(results: Sequence[Store], sources: dict[Node, Place]) -> Schedule:
    """Order what gives `results` into stages.

    Args:
        results: what is to be stored; joined nodes go piece by piece.
        sources: nodes that are read from buffers.
    """
    return _Scheduler(results, sources).run()


READABLE = ("next_state", "kept", "saved", "operand", "grad_product", "grad_part")
"""Buffers of results that a later stage of the same step may read."""


class _Scheduler:
    """Finds the stages: first when each node is computed, then what each stage has to do for the ones behind it."""

    def __init__(self, results: Sequence[Store], sources: dict[Node, Place]) -> None:
        self._given = sources
        self.sources = dict(sources)
        self.temporaries: dict[str, int] = {}
        self.stores: dict[int, list[Store]] = {}
        self.order = {node: k for k, node in enumerate(needed([store.node for store in results], sources))}
        self._sliced_only = self._find_sliced_products(results)
        self._later_rows: dict[int, dict[Node, None]] = {}
        self.level = cache(self._level)
        for store in _spread(results):
            self._store(store)
        kept = [store for store in results if store.place.buffer.startswith(READABLE)]
        self._results = {store.node: store.place for store in (*_spread(kept), *kept)}

    def _find_sliced_products(self, results: Sequence[Store]) -> set[Node]:
        """Find the products of which every use is a slice: each slice is computed by itself."""
        users: dict[Node, set[str]] = {}
        for node in self.order:
            for operand in () if node in self.sources else node.inputs:
                users.setdefault(operand, set()).add(node.op)
        whole = {piece.node for piece in _spread(results)}
        return {
            node for node in self.order if node.op == "product" and users.get(node) == {"slice"} and node not in whole
        }

    # When: the stage in which a node is computed, and from which on its whole rows can be read.

    def is_read(self, node: Node) -> bool:
        """Whether a node is a literal, or read from a buffer that is there before the step."""
        return node.op == "number" or node in self._given or (node.op == "slice" and node.inputs[0] in self._given)

    def _is_gate(self, node: Node) -> bool:
        return node.op == "product" or (node.op == "slice" and node.inputs[0] in self._sliced_only)

    def _level(self, node: Node) -> int:
        if self.is_read(node):
            return 0
        if self._is_gate(node):
            product = node if node.op == "product" else node.inputs[0]
            return self.ready(product.inputs[0])
        if node.op == "slice":  # of a product that is stored whole
            return self.ready(node.inputs[0])
        if node.op in REDUCTIONS:
            return self._in_loop(node.inputs[0])
        return max((self.ready(o) if self._crosses(node, o) else self.level(o) for o in node.inputs), default=0)

    def _crosses(self, node: Node, operand: Node) -> bool:
        """Whether an operand computed by the unit must be whole: the node goes by the row, or has other units."""
        if self.is_read(operand) or not self.is_by_unit(operand):
            return False
        return operand.width != node.width or not self.is_by_unit(node)

    def is_by_unit(self, node: Node) -> bool:
        """Whether a node is computed unit by unit, not row by row."""
        return node.width > 1 or self._is_gate(node)

    def ready(self, node: Node) -> int:
        """Give the first stage at which the whole row of a node can be read."""
        if self.is_read(node):
            return 0
        if node.op == "concat":  # which is put together where its last piece is computed, or read
            return max(self.level(piece) for piece in node.inputs) + 1
        return self.level(node) + 1

    def _in_loop(self, node: Node) -> int:
        """Give the first stage that can go through the elements of a node before its regions."""
        if self.is_read(node):
            return 0
        if not self.is_by_unit(node):
            return self.level(node)
        stored = self.level(node) + 1
        if not node.is_pointwise:
            return stored
        return min(stored, max(self._in_loop(operand) for operand in node.inputs))

    def _inlined(self, node: Node, stage: int) -> bool:
        """Whether a loop over the row at `stage` computes a node again in place of reading it."""
        return node.is_pointwise and (self.level(node) >= stage or all(map(self.is_read, node.inputs)))

    # What: from the last stage to the first, each asks the ones before it for what it reads.

    def _store(self, store: Store) -> None:
        self.stores.setdefault(self.level(store.node), []).append(store)

    def _place(self, node: Node) -> Place:
        """Give where a node computed in an earlier stage is read; have it stored if it is not."""
        found = place_of(node, self.sources)
        if found is not None:
            return found
        known = self._results.get(node)
        if known is not None:
            self.sources[node] = known
            return known
        name = f"temporary{len(self.temporaries)}"
        self.temporaries[name] = node.width
        place = Place(name, node.width)
        self.sources[node] = place
        for store in _spread([Store(node, place)]):
            self._store(store)
        return place

    def run(self) -> Schedule:
        count = max(self.stores, default=0) + 1
        stages = [self._stage(stage) for stage in reversed(range(count))]
        return Schedule(stages[::-1], self.sources, self.temporaries, set(self._given))

    def _stage(self, number: int) -> Stage:
        stage = Stage()
        wanted_rows: dict[Node, None] = {}
        regions: dict[int, Region] = {}
        for store in self.stores.get(number, []):
            if store.node.width > 1 or self._is_gate(store.node):
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
        if self.is_read(node):
            return
        level = self.level(node)
        if level == number:
            rows[node] = None
        else:
            self._later_rows.setdefault(level, {})[node] = None

    def _fill(self, region: Region, number: int, rows: dict[Node, None]) -> None:
        """Collect the nodes of a region, and ask for what it reads from elsewhere."""
        chosen: dict[Node, None] = {}
        stack = [store.node for store in region.stores]
        while stack:
            node = stack.pop()
            if node in chosen or self.is_read(node):
                continue
            if not self.is_by_unit(node):
                self._want_row(node, number, rows)
            elif self.level(node) < number or node.width != region.width:
                self._place(node)
            elif not self._is_gate(node) and node.op == "slice":
                self._place(node.inputs[0])
            else:
                chosen[node] = None
                stack += () if self._is_gate(node) else node.inputs
        region.nodes = sorted((node for node in chosen if not self._is_gate(node)), key=self.order.__getitem__)
        products: dict[Place, list[Gate]] = {}
        for node in sorted((node for node in chosen if self._is_gate(node)), key=self.order.__getitem__):
            product, offset = (node, 0) if node.op == "product" else (node.inputs[0], node.attr[0])
            matrix, turned = product.attr
            products.setdefault(self._place(product.inputs[0]), []).append(Gate(node, matrix, turned, offset))
        for place, gates in products.items():
            gates.sort(key=lambda gate: (gate.matrix, gate.turned, gate.offset))
            region.products.append(Product(place, tuple(gates)))

    def _reductions(self, number: int, wanted: dict[Node, None]) -> list[list[Node]]:
        """Order the numbers of a row; sums and maxima of one width that wait for nothing share a loop."""
        nodes: dict[Node, None] = {}
        waits: dict[Node, set[Node]] = {}
        stack = list(wanted)
        while stack:
            node = stack.pop()
            if node in nodes or self.is_read(node):
                continue
            if self.level(node) < number:
                self._want_row(node, number, {})
                continue
            nodes[node] = None
            waits[node] = self._row_operands(node, number)
            stack += waits[node]
        groups: list[list[Node]] = []
        done: set[Node] = set()
        left = sorted(nodes, key=self.order.__getitem__)
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
        """Give the numbers of the row that a node of the row waits for; have stored what it reads by the unit."""
        if node.op not in REDUCTIONS:
            found = set()
            for operand in node.inputs:
                if self.is_read(operand):
                    continue
                if self.is_by_unit(operand):
                    self._place(operand)
                else:
                    found.add(operand)
            return found
        found = set()
        stack = [node.inputs[0]]
        while stack:
            top = stack.pop()
            if self.is_read(top):
                continue
            if not self.is_by_unit(top):
                found.add(top)
            elif self._inlined(top, number):
                stack += top.inputs
            elif top.op == "slice" and not self._is_gate(top):
                self._place(top.inputs[0])
            else:
                self._place(top)
        return found


def _spread(stores: Iterable[Store]) -> list[Store]:
    """Take joined nodes apart."""
    spread = []
    for node, place in stores:
        if node.op != "concat":
            spread.append(Store(node, place))
            continue
        offset = place.offset
        for piece in node.inputs:
            spread.append(Store(piece, place._replace(offset=offset)))
            offset += piece.width
    return spread
