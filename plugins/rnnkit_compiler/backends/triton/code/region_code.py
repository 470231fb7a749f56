"""Code for a region: block by block of its units, the products and the pointwise operations on them."""

from collections.abc import Iterator

from rnnkit_compiler.backends.triton.code.loops import Values, indented, own_units
from rnnkit_compiler.backends.triton.code.names import Names
from rnnkit_compiler.backends.triton.held import stacks_of
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.schedule.buffers import Buffer, BufferKind, Store
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
            inside.lines += self.held_product(product, region.width)
            inside.known |= {block.node: self.names.step.variable(block.node) for block in product.blocks}
            for block in product.blocks:
                inside.lines += self.names.step.rounding(block.node, inside.known[block.node])
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
        """Multiply rows by column blocks of matrices, `DEPTH` elements of them at a time.

        Args:
            product: what is multiplied by what.
            width: columns of each block.
            further: how much further on the rows begin.
            matrix: the matrix and its strides, where they are looked up.
        """
        for block in product.blocks:
            yield f"{self.names.step.variable(block.node)} = tl.zeros((ROWS, UNITS), REAL)"
        rows, mask = self._rows_at(product, further), f"run & (d[None, :] < {product.depth})"
        body = ["d = k + tl.arange(0, DEPTH)"]
        body.append(f"a = tl.load({rows} + d[None, :], mask={mask}, other=0.0){self._cast}")
        body += [self._added(block, self._columns(block, width, matrix)) for block in product.blocks]
        yield f"for k in range(0, {product.depth}, DEPTH):"
        yield from indented(body)

    def held_product(self, product: Product, width: int) -> Iterator[str]:
        """Multiply rows by column blocks of matrices, which may be on chip from before the first step on."""
        lines = [*self.product(product, width)]
        zeros, loop = lines[: len(product.blocks)], lines[len(product.blocks) :]
        held: list[str] = []
        for stack in stacks_of(product):
            first = stack.blocks[0]
            name = self.names.parameter(f"held_{self.names.step.variable(first.node)}")
            matrix, row_stride, column_stride = self.names.matrix(first.matrix, first.transposed)
            shape = f"{first.depth}, {width}, {row_stride}, {column_stride}, {first.offset}, {stack.apart}"
            sizes = f"{stack.layers}, {stack.pieces}, {stack.depth}"
            self.names.step.held[name] = f"stack({matrix}, j, {shape}, {len(stack.blocks)}, {sizes}){self._cast}"
            rows = f"rows_of_stack({self._rows_at(product)}, run, {first.depth}, {sizes}){self._cast}"
            held.append(f"layers = multiplied_stacks({rows}, {name}, REAL, PRECISION)")
            for k, block in enumerate(stack.blocks):
                value = f"block_of_stack(layers, {k}, {stack.layers}, {stack.pieces})"
                held.append(f"{self.names.step.variable(block.node)} = {value}  # {self.names.note(block.node)}")
        yield from zeros
        yield f"if {name} is not None:"
        yield from indented(held)
        yield "else:"
        yield from indented(loop)

    def _rows_at(self, product: Product, further: str = "") -> str:
        """Say where the rows begin."""
        single = " + row * 0" if product.operand.buffer.kind is BufferKind.VECTOR else ""
        return self.names.at(product.operand) + further + single

    def _columns(self, block: ColumnBlock, width: int, matrix: str) -> str:
        """Read elements d of the columns of a block."""
        name, row_stride, column_stride = self.names.matrix(block.matrix, block.transposed)
        where = matrix or f"{name}, {{}}, {row_stride}, {column_stride}"
        return f"columns({where.format(f'd[:, None], j, {block.depth}, {width}')}, {block.offset}){self._cast}"

    def _added(self, block: ColumnBlock, columns: str) -> str:
        x = self.names.step.variable(block.node)
        return f"{x} = multiplied(a, {columns}, {x}, PRECISION)  # {self.names.note(block.node)}"

    @property
    def _cast(self) -> str:
        return ".to(tl.bfloat16)" if self._narrow else ""

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
