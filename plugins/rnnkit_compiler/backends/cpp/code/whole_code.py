"""Code for what is computed from whole rows to whole rows, before the regions of a stage."""

from collections.abc import Iterator

from rnnkit_compiler.backends.cpp.code.loops import description
from rnnkit_compiler.backends.cpp.code.names import Names, plus
from rnnkit_compiler.backends.cpp.code.region_code import PackedProduct, RegionCode
from rnnkit_compiler.schedule.buffers import BufferKind, Place
from rnnkit_compiler.schedule.stages import ColumnBlock, Product, Stage, WholeRows


class WholeCode:
    """Writes contractions and products of pieces; what the products need is noted where the regions' is."""

    def __init__(self, names: Names, region_code: RegionCode) -> None:
        self.names, self.region_code = names, region_code

    def lines(self, stage: Stage) -> Iterator[str]:
        """Return the lines of a stage."""
        for whole in stage.whole:
            kinds = {"products": self._products, "window": self._window}
            yield from kinds.get(whole.node.op, self._contraction)(whole)
            self.names.stored.add(whole.node)

    def _contraction(self, whole: WholeRows) -> Iterator[str]:
        numbers = self.names.tables.contractions
        at = f"call.contractions + {len(numbers)}"
        numbers += description(whole.node)
        operands = [self._rows(place) for place in whole.operands]
        operands += ["{nullptr, 0}"] * (2 - len(operands))
        out, stride = self._begin(whole.place), self.names.size(whole.place.width)
        yield f"        // {self.names.note(whole.node)}"
        yield f"        call.functions->contract({at}, {out}, {stride}, {', '.join(operands)},"
        yield "                                 s.rows + s.first_live, s.live - s.first_live,"
        yield "                                 s.unit_share, s.unit_shares);"

    def _window(self, whole: WholeRows) -> Iterator[str]:
        outer, size, inner, start, stop = whole.node.attr
        numbers = self.names.tables.contractions
        at = [f"int(call.contractions[{len(numbers) + k}])" for k in range(4)]
        numbers += [outer, size * inner, start * inner, (stop - start) * inner]
        out, stride = self._begin(whole.place), self.names.size(whole.place.width)
        yield f"        // {self.names.note(whole.node)}"
        yield f"        look_through(s, {out}, {stride}, {self._rows(whole.operands[0])},"
        yield f"                     {', '.join(at)});"

    def _products(self, whole: WholeRows) -> Iterator[str]:
        (operand,), code = whole.operands, self.region_code
        matrix, transposed, count = whole.node.attr
        region, k = len(code.vectors), len(code.products)
        width, pieces = self.names.size(whole.node.width // count), self.names.size(count)
        product = Product(operand, (ColumnBlock(whole.node, matrix, transposed, 0),))
        code.vectors.append((1, whole.node.width // count))
        code.products.append(PackedProduct(region, product, count))
        code.columns.append((matrix, transposed, 0))
        out, stride = self._begin(whole.place), self.names.size(whole.place.width)
        yield f"        // {self.names.note(whole.node)}"
        yield f"        multiply_pieces(s, {out}, {stride}, {self._rows(operand)}, {pieces}, w{k},"
        yield f"                        {code.depth(product)}, {width}, v{region},"
        yield f"                        reinterpret_cast<real*>(s.scratch + c{k}),"
        yield f"                        reinterpret_cast<const real**>(s.scratch + l{k}));"

    def _rows(self, place: Place) -> str:
        stride = "0" if place.buffer.kind is BufferKind.VECTOR else self.names.size(place.width)
        return f"{{{self._begin(place)}, {stride}}}"

    def _begin(self, place: Place) -> str:
        self.names.buffers[place.buffer] = place.width
        return f"{place.buffer}{plus(self.names.size(place.offset))}"
