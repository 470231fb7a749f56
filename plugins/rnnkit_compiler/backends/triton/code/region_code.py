"""Code for a region: block by block of its units, the products and the pointwise operations on them."""

from collections.abc import Iterator

from rnnkit_compiler.backends.triton.code.loops import Values, indented, own_units
from rnnkit_compiler.backends.triton.code.names import Names
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.schedule.buffers import Buffer, BufferKind, Place, Store
from rnnkit_compiler.schedule.stages import ColumnBlock, Product, Region


class RegionCode:
    """Writes regions.

    Args:
        names: of the function.
        narrow: round the factors of products to bfloat16.
        overlaid: buffers that may lie over others, which are read in the same region.
    """

    def __init__(self, names: Names, narrow: bool, overlaid: set[Buffer]) -> None:
        self.names, self._narrow, self._overlaid = names, narrow, overlaid

    def lines(self, region: Region, values: Values) -> Iterator[str]:
        """Return the lines of a region."""
        inside = values.inside()
        for product in region.products:
            inside.lines += self.product(product, region.width)
            inside.known |= {block.node: f"x{block.node.number}" for block in product.blocks}
        for node in self._computed(region):
            if node.op == "gather":
                inside.define(node, self._gathered(node, inside))
            else:
                inside.compute(node)
        stored = [(store, inside.operand(store.node)) for store in region.stores]
        yield from own_units(region.width)
        yield from indented(inside.lines)
        if any(store.place.buffer in self._overlaid for store in region.stores):
            yield "    tl.debug_barrier()  # all is read before anything is written over it"
        for store, value in stored:
            yield from indented(self._store(store, value))
        self.names.step.stored.update(store.node for store in region.stores)

    def product(self, product: Product, width: int, further: str = "", matrix: str = "") -> Iterator[str]:
        """Multiply rows by column blocks of matrices.

        Args:
            product: what is multiplied by what.
            width: columns of each block.
            further: how much further on the rows begin.
            matrix: the matrix and its strides, where they are looked up.
        """
        depth = depth_of(product.blocks[0])
        for block in product.blocks:
            yield f"x{block.node.number} = tl.zeros((ROWS, UNITS), REAL)"
        rows = self.names.at(product.operand) + further
        rows += " + r * 0" if product.operand.buffer.kind is BufferKind.VECTOR else ""
        narrow = ".to(tl.bfloat16)" if self._narrow else ""
        body = ["d = k + tl.arange(0, DEPTH)"]
        mask = f"run & (d[None, :] < {depth})"
        body.append(f"a = tl.load({rows} + d[None, :], mask={mask}, other=0.0){narrow}")
        for block in product.blocks:
            name, row_stride, column_stride = self.names.matrix(block.matrix, block.transposed)
            where = matrix or f"{name}, {{}}, {row_stride}, {column_stride}"
            shape = f"d[:, None], j, {depth}, {width}"
            b = f"columns({where.format(shape)}, {block.offset}){narrow}"
            x = f"x{block.node.number}"
            body.append(f"{x} = multiplied(a, {b}, {x}, PRECISION)  # {self.names.note(block.node)}")
        yield f"for k in range(0, {depth}, DEPTH):"
        yield from indented(body)

    def _computed(self, region: Region) -> list[Node]:
        """List what is left to be computed, in order: not the running values, which are put aside."""
        return [node for node in region.nodes if node not in self.names.step.running]

    def _gathered(self, node: Node, inside: Values) -> str:
        """Read units of a row by their numbers, 0 for -1."""
        place, units = self.names.step.source(node.inputs[0]), self.names.units(node.attr[0])
        inside.lines.append(f"unit{node.number} = tl.load({units} + j, mask=j < {node.width}, other=-1)")
        mask = "" if place.buffer.kind is BufferKind.VECTOR else "run & "
        at = self.names.at(place, f"unit{node.number}")
        return f"tl.load({at}, mask={mask}(unit{node.number} >= 0), other=0.0).to(REAL)"

    def _store(self, store: Store, value: str) -> Iterator[str]:
        at, kind = self.names.at(store.place, "j"), store.place.buffer.kind
        if kind is BufferKind.GRAD_VECTOR:
            yield f"sums = tl.sum(tl.where(here, {value}, 0.0).to(REAL), 0, keep_dims=True)"
            mask = f"mask=j < {store.node.width}"
            yield f"tl.store({at}, tl.load({at}, {mask}, other=0.0) + sums, {mask})"
        elif kind is BufferKind.Y:
            yield f"if {self.names.parameter('y')} is not None:"
            yield f"    tl.store({at}, {value}, mask=here)"
        else:
            yield f"tl.store({at}, {value}, mask=here)"


def depth_of(block: ColumnBlock) -> int:
    """Return how many elements of a row, or of a piece of one, a product reads."""
    node = block.node
    if node.op == "products":
        return int(node.inputs[0].width // node.attr[2])
    whole = node if node.op == "product" else node.inputs[0]
    return int(whole.inputs[0].width)


def single(place: Place, block: ColumnBlock) -> Product:
    """Return the product with one block."""
    return Product(place, (block,))
