"""Code for a region: block by block of its units, the products and the pointwise operations on them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rnnkit_compiler.backends.cpp.code.names import Names, plus
from rnnkit_compiler.backends.cpp.code.operations import expression
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.schedule.buffers import Buffer, BufferKind, Place, place_of
from rnnkit_compiler.schedule.overlay import Overlay
from rnnkit_compiler.schedule.stages import Product, Region

FETCHED = (BufferKind.PART, BufferKind.KEPT, BufferKind.SAVED, BufferKind.STATE, BufferKind.GRAD_Y)
"""Buffers that are read at each step from another place, long after it was written."""

WRITTEN = (
    *(BufferKind.NEXT_STATE, BufferKind.SAVED, BufferKind.OPERAND),
    *(BufferKind.GRAD_PRODUCT, BufferKind.GRAD_PART, BufferKind.Y),
)
"""Buffers that are written at each step in another place."""


class PackedProduct(NamedTuple):
    """A product, and in which region it is; one by itself has a number too."""

    region: int
    product: Product
    pieces: int = 1
    """Of a row, each of which is multiplied."""

    matrices: int = 1
    """1: the same one, or one for each piece."""


class RegionCode:
    """Writes regions, and notes what their products need."""

    def __init__(self, names: Names, written_over: Mapping[Buffer, Overlay]) -> None:
        self.names, self._written_over = names, written_over
        self.vectors: list[tuple[int, int]] = []
        """Of each region: the most column blocks of a product, and the width."""
        self.products: list[PackedProduct] = []
        self.columns: list[tuple[int, bool, int]] = []
        """In the order of packing: matrix, whether it is transposed, first column."""

    def lines(self, region: Region) -> Iterator[str]:
        """Return the lines of a region."""
        number = len(self.vectors)
        self.vectors.append((max((len(p.blocks) for p in region.products), default=0), region.width))
        width = self.names.size(region.width)
        first = len(self.products)
        self.products += [PackedProduct(number, product) for product in region.products]
        yield f"        {{  // {width} units"
        yield f"            const int V = v{number}, panels = panel_count({width}, V);"
        yield "            const Dealt own(panels, s.unit_shares, s.unit_share, s.first_live, s.live);"
        starts: list[int] = []
        for k, product in enumerate(region.products, first):
            place = product.operand
            starts.append(len(self.columns))
            self.names.buffers[place.buffer] = place.width
            for block in product.blocks:
                self.columns.append((block.matrix, block.transposed, block.offset))
            begin = f"{place.buffer}{plus(self.names.size(place.offset))}"
            room = f"reinterpret_cast<const real**>(s.scratch + l{k})"  # its own: all products of a region run together
            yield f"            const Rows a{k} = s.rows_of({begin}, {self.names.stride(place)}, {room});"
            yield f"            real* const c{k}_ = reinterpret_cast<real*>(s.scratch + c{k});"
        body = list(self._body(region, first))
        ahead = "u" if region.products else "(u + 1)"  # the products, or else the units before, are time enough
        yield "            for (int n = 0; n < own.count; ++n) {"
        yield "                const int u = own.panel(n), from = own.from(n), to = own.to(n);"
        yield f"                const int W = panel_width({width}, V, u);"
        for place, written in self._touched(region):
            at = f"{place.buffer}{plus(self.names.size(place.offset))} + {ahead} * V * VL"
            rows = f"s, from, to, {at}, {self.names.size(place.width)}"
            yield f"                fetch<{str(written).lower()}>({rows}, V);"
        for k, product in enumerate(region.products, first):
            count, depth = len(product.blocks), self.depth(product)
            gates = f"call.gates + {starts[k - first]}"
            shape = f"{depth}, {count}, {width}, V"
            yield from self._straight(region, k, depth)
            rows = f"c{k}_ + std::ptrdiff_t(from) * {count} * W * VL, a{k}.from(from), to - from"
            yield f"                multiply_panel(call, {rows}, w{k}, {gates}, u, {shape});"
        yield "                for (int v = 0; v < W; ++v) {"
        yield f"                    const int j = (u * V + v) * VL, left = {width} - j;"
        yield "                    auto body = [&](auto whole) __attribute__((always_inline)) {"
        yield from (f"                        {line}" for line in body)
        yield "                    };"
        yield "                    if (left >= VL) body(Full{});"
        yield "                    else if (left > 0) body(Partial{});"
        yield "                }"
        yield "            }"
        yield "        }"
        self.names.stored.update(store.node for store in region.stores)

    def _straight(self, region: Region, k: int, depth: str) -> Iterator[str]:
        """Have a product of which nothing is made written to where it goes, in whole panels of whole batches."""
        store, *others = region.stores
        if others or region.nodes or store.place.buffer.kind in (BufferKind.Y, BufferKind.GRAD_VECTOR):
            return
        stride, width = self.names.size(store.place.width), self.names.size(region.width)
        at = f"{self.names.at(store.place, 's.rows[from]')} + u * V * VL"
        rows = f"{at}, {stride}, a{k}.from(from), to - from"
        panel = f"w{k} + std::ptrdiff_t(u) * {depth} * V * VL"
        yield f"                if (goes_straight(call, (u * V + W) * VL, {width})) {{"
        yield f"                    multiply_packed(call, {rows}, {panel}, {depth}, W);"
        yield "                    continue;"
        yield "                }"

    def _computed(self, region: Region) -> list[Node]:
        """List what is left to be computed, in order, when loops over the rows have put some aside."""
        remembered = self.names.remembered
        wanted = {store.node for store in region.stores}
        computed = []
        for node in reversed(region.nodes):
            if node in wanted and node not in remembered:
                computed.append(node)
                wanted.update(node.inputs)
        return computed[::-1]

    def _touched(self, region: Region) -> list[tuple[Place, bool]]:
        """List what a region reads and writes for each step apart, and which of the two."""
        nodes = self._computed(region)
        operands = dict.fromkeys(operand for node in nodes for operand in node.inputs)
        read = (place_of(node, self.names.stages.sources) for node in operands if node not in nodes)
        places = [place for place in read if place is not None and place.buffer not in self.names.visited]
        fetched = [(place, False) for place in places if place.buffer.kind in FETCHED and place.width > 1]
        near = {*self.names.visited, *(place.buffer for place, _ in fetched)}
        stored = [store.place for store in region.stores if store.place.buffer.kind in WRITTEN]
        apart = [place for place in stored if not self._is_over(place.buffer, near)]
        return list(dict.fromkeys([*fetched, *((place, True) for place in apart)]))

    def _is_over(self, buffer: Buffer, others: set[Buffer]) -> bool:
        """Tell whether a buffer is mostly written over one of others."""
        overlay = self._written_over.get(buffer)
        return overlay is not None and overlay.over in others

    def _body(self, region: Region, first: int) -> Iterator[str]:
        """Write what is done for one vector of units: what is the same for all rows, then the rows."""
        known: dict[Node, str] = {}
        outside: list[str] = []
        inside: list[str] = []
        sums: dict[Node, list[Place]] = {}  # two biases of one gate have the same
        for store in region.stores:
            if store.place.buffer.kind is BufferKind.GRAD_VECTOR:
                sums.setdefault(store.node, []).append(store.place)
        nodes = self._computed(region)
        own = set(nodes)
        if sums:
            nodes = _result_by_result(nodes, [store.node for store in region.stores])
        left = dict(zip(sums, range(len(sums)), strict=True))
        for k, product in enumerate(region.products, first):
            for g, block in enumerate(product.blocks):
                known[block.node] = f"x{block.node.number}"
                at = f"c{k}_ + (std::ptrdiff_t(i) * {len(product.blocks)} * W + {g} * W + v) * VL"
                inside.append(f"const vec x{block.node.number} = load({at});  // {self.names.note(block.node)}")
        for node in nodes:
            if node.op == "gather":
                place = self.names.source(node.inputs[0])
                at, units = f"({self.names.at(place)})", self.names.units(node.attr[0])
                value = f"moved<full>({at}, {units} + j, left)"
                inside.append(f"const vec x{node.number} = {value};  // {self.names.note(node)}")
                known[node] = f"x{node.number}"
                continue
            for operand in node.inputs:
                self._operand(operand, own, known, outside, inside)
            names = [known[operand] for operand in node.inputs]
            inside.append(f"const vec x{node.number} = {expression(node.op, names)};  // {self.names.note(node)}")
            known[node] = f"x{node.number}"
            for done in [each for each in left if each in known]:
                inside.append(f"sum{left.pop(done)} += {known[done]};")
        for store in region.stores:  # all is read before anything is written, which may be over it
            self._operand(store.node, own, known, outside, inside)
        inside += [f"sum{k} += {known[node]};" for node, k in left.items()]
        for node, place in region.stores:
            if place.buffer.kind is not BufferKind.GRAD_VECTOR:
                guard = "if (call.y_apart) " if place.buffer.kind is BufferKind.Y else ""
                inside.append(f"{guard}put<full>({self.names.at(place)} + j, {known[node]}, left);")
        yield "constexpr bool full = decltype(whole)::full;"
        yield from outside
        yield from self._rows(inside, len(sums))
        for k, places in enumerate(sums.values()):
            for at in (f"{self.names.at_vector(place)} + j" for place in places):
                yield f"put<full>({at}, get<full>({at}, left) + total{k}, left);"

    @staticmethod
    def _rows(inside: list[str], sums: int) -> Iterator[str]:
        """Write the loop over rows; of sums, some rows at a time: short sums are rounded less than one long one."""
        if not sums:
            yield "for (int i = from; i < to; ++i) {"
        else:
            yield from (f"vec total{k}{{}};" for k in range(sums))
            yield "for (int block = from; block < to; block += SUMMED_AT_ONCE) {"
            yield from (f"vec sum{k}{{}};" for k in range(sums))
            yield "for (int i = block; i < at_most(to, block + SUMMED_AT_ONCE); ++i) {"
        yield "    const std::ptrdiff_t r = s.rows[i];"
        yield from (f"    {line}" for line in inside)
        yield "}"
        if sums:
            yield from (f"total{k} += sum{k};" for k in range(sums))
            yield "}"

    def _operand(
        self, node: Node, own: set[Node], known: dict[Node, str], outside: list[str], inside: list[str]
    ) -> None:
        """Make an operand known that is not computed in the region itself."""
        if node in known or node in own:
            return
        name = f"x{node.number}"
        if node.op == "number":
            known[node] = self.names.literal(node)
            return
        if node in self.names.remembered:
            inside.append(f"const vec {name} = get<full>({self.names.remembered_at(node)} + j, left);")
            known[node] = name
            return
        if node in self.names.rows:
            at = f"numbers[{self.names.rows[node]} * batch + i]"
            inside.append(f"const vec {name} = broadcast({at});  // {self.names.note(node)}")
        else:
            place = self.names.source(node)
            lines = outside if place.buffer.kind is BufferKind.VECTOR else inside
            if node.width == 1:
                lines.append(f"const vec {name} = broadcast(({self.names.at(place)})[0]);  // {self.names.note(node)}")
            else:
                lines.append(
                    f"const vec {name} = get<full>({self.names.at(place)} + j, left);  // {self.names.note(node)}"
                )
        known[node] = name

    def depth(self, product: Product) -> str:
        """Name how many elements of a row, or of a piece of one, a product reads."""
        node = product.blocks[0].node
        if node.op == "products":
            return self.names.size(node.inputs[0].width // node.attr[2])
        whole = node if node.op == "product" else node.inputs[0]
        return self.names.size(whole.inputs[0].width)


def _result_by_result(nodes: Sequence[Node], results: Sequence[Node]) -> list[Node]:
    """Order the nodes of a region so that what few more of them give comes first.

    A gate's sums and gradients are then done before the next gate, and fewer numbers wait in registers.
    """
    own = set(nodes)
    below: dict[Node, set[Node]] = {}
    for node in nodes:
        below[node] = {node}.union(*(below[operand] for operand in node.inputs if operand in own))
    left = dict.fromkeys(node for node in results if node in own)
    ordered: dict[Node, None] = {}
    while left:
        nearest = min(left, key=lambda node: len(below[node] - ordered.keys()))
        ordered |= dict.fromkeys(node for node in nodes if node in below[nearest])
        del left[nearest]
    return list(ordered)
