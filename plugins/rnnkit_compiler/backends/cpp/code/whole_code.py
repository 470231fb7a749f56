"""Code for what is computed from whole rows to whole rows, before the regions of a stage."""

from collections.abc import Iterator

from rnnkit_compiler.backends.cpp.code.loops import description
from rnnkit_compiler.backends.cpp.code.names import Names, plus
from rnnkit_compiler.backends.cpp.code.region_code import PackedProduct, RegionCode
from rnnkit_compiler.schedule.buffers import Place
from rnnkit_compiler.schedule.stages import ColumnBlock, Product, Stage, WholeRows


class WholeCode:
    """Writes contractions, ranks and products of pieces; what the products need is noted where the regions' is."""

    def __init__(self, names: Names, region_code: RegionCode) -> None:
        self.names, self.region_code = names, region_code

    def lines(self, stage: Stage) -> Iterator[str]:
        """Return the lines of a stage."""
        for whole in stage.whole:
            kinds = {"products": self._products, "window": self._window, "ranks": self._ranks}
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

    def _ranks(self, whole: WholeRows) -> Iterator[str]:
        manner, falls, outer, size, inner, wanted, _ = whole.node.attr
        sizes = ", ".join(map(self.names.size, (outer, size, inner, wanted)))
        out, stride = self._begin(whole.place), self.names.size(whole.place.width)
        self.names.ordered.add(size)
        yield f"        // {self.names.note(whole.node)}"
        yield f"        rank_elements<Manner::{manner.name}, {str(falls).lower()}>(s, {out}, {stride},"
        yield f"            {self._rows(whole.operands[0])}, {sizes}, reinterpret_cast<Ranked*>(s.scratch));"

    def _products(self, whole: WholeRows) -> Iterator[str]:
        (operand,), code = whole.operands, self.region_code
        numbers, transposed, count = whole.node.attr
        matrices = (numbers,) if isinstance(numbers, int) else numbers
        region, k, apart = len(code.vectors), len(code.products), len(matrices) > 1
        width, pieces = self.names.size(whole.node.width // count), self.names.size(count)
        product = Product(operand, (ColumnBlock(whole.node, matrices[0], transposed, 0),))
        code.vectors.append((1, whole.node.width // count))
        code.products.append(PackedProduct(region, product, 1 if apart else count, len(matrices)))
        matrix_at = f"call.gates + {len(code.columns)}"
        code.columns += [(matrix, transposed, 0) for matrix in matrices]
        depth, out, stride = code.depth(product), self._begin(whole.place), self.names.size(whole.place.width)
        rows, packed = self._rows(operand), f"w{k}"
        yield f"        // {self.names.note(whole.node)}"
        if apart:
            yield f"        for (int k = 0; k < {pieces}; ++k)"
            rows, out, pieces = self._rows(operand, f" + k * {depth}"), f"{out} + k * {width}", "1"
            packed += f" + k * packed_size({depth}, 1, {width}, v{region})"
            matrix_at += " + k"
        yield f"        multiply_pieces(s, {out}, {stride}, {rows}, {pieces}, {packed}, {matrix_at},"
        yield f"                        {depth}, {width}, v{region}, reinterpret_cast<real*>(s.scratch + c{k}),"
        yield f"                        reinterpret_cast<const real**>(s.scratch + l{k}));"

    def _rows(self, place: Place, further: str = "") -> str:
        return f"{{{self._begin(place)}{further}, {self.names.stride(place)}}}"

    def _begin(self, place: Place) -> str:
        self.names.buffers[place.buffer] = place.width
        return f"{place.buffer}{plus(self.names.size(place.offset))}"
