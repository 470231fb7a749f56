"""Products: of what depends on the rows with an invariant matrix, or with itself."""

from math import prod
from typing import NamedTuple

import torch

from rnnkit_compiler.ir.contraction import Term, einsum
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.pointwise import scaled
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.units import gather
from rnnkit_compiler.ir.values import Form, NotLowerable, Value
from rnnkit_compiler.trace.recording import Call, Ref

TABLE = Table(cheap=False)

MIXED = "a product goes over the batch"

MOST_BLOCKS = 8
"""Products of a block of the row each, with a matrix each, that are computed with what follows; more of them are one
loop of their own, or there would be much to compile."""

MOST_MULTIPLICATIONS = 200_000
"""For each row, of a product of two tensors that depend on it; where there are more, torch's own is as fast."""

BLOCK, LEFT, MIDDLE, RIGHT = range(4)
"""The axes of a product of stacks of matrices: (block, left, middle) times (block, middle, right)."""


class Operand(NamedTuple):
    """One side of a product, as a stack of matrices: its axes, their sizes, and where the batch is (None: nowhere)."""

    ref: Ref
    axes: tuple[int, int, int]
    sizes: dict[int, int]
    value: Value | None
    batch: int | None


def _operand(lowering: Lowering, ref: Ref, left: bool) -> Operand:
    shape = lowering.shape(ref)
    value = lowering.value(ref) if lowering.is_value(ref) else None
    dims = list(shape if value is None else value.dims)
    if 0 in dims:
        raise NotLowerable("a tensor has no elements")
    lead = 3 - len(dims)
    own = (BLOCK, LEFT, MIDDLE) if left else (BLOCK, MIDDLE, RIGHT)
    if len(dims) == 1:  # a vector is a matrix of a single row or column
        dims = [1, 1, *dims] if left else [1, *dims, 1]
        batch = None if value is None else own[2 if left else 1]
    else:
        dims = [1] * lead + dims
        batch = None if value is None else own[value.axis + lead]
    return Operand(ref, own, dict(zip(own, dims, strict=True)), value, batch)


def product_of(lowering: Lowering, call: Call, left: Ref, right: Ref, bias: Node | None = None) -> Value:
    """Multiply two matrices or stacks of them, at least one of which depends on the rows."""
    operands = _operand(lowering, left, True), _operand(lowering, right, False)
    values = [operand for operand in operands if operand.value is not None]
    if not values or any(operand.batch == MIDDLE for operand in values):
        raise NotLowerable(MIXED)
    form = _form(lowering, call, values)
    node = _of_rows(lowering, operands) if len(values) == 2 else _of_invariant(lowering, operands, bias)
    if len(values) == 2 and bias is not None:
        node = node + bias
    return Value(node, *form)


def _form(lowering: Lowering, call: Call, values: list[Operand]) -> Form:
    """Return the form of the result: where the operands have the batch."""
    if len({operand.batch for operand in values}) > 1:
        raise NotLowerable(MIXED)
    shape = lowering.recording.shapes[call.output]
    places = {BLOCK: len(shape) - 3, LEFT: len(shape) - 2, RIGHT: len(shape) - 1}
    if call.base_name in ("mv", "addmv"):
        places = {LEFT: 0}
    first = values[0].value
    forms = {(operand.value.joined, operand.value.outer) for operand in values if operand.value is not None}
    if len(forms) > 1 or first is None or values[0].batch is None:
        raise NotLowerable("two tensors join the batch with features in different ways")
    return shape, places[values[0].batch], first.joined, first.outer


def _of_rows(lowering: Lowering, operands: tuple[Operand, Operand]) -> Node:
    """Multiply two tensors that both depend on the rows; one may be an invariant that was repeated for each."""
    left, right = operands
    assert left.value is not None
    assert right.value is not None
    sizes = left.sizes | right.sizes
    node = _by_matrices(lowering, left, right, sizes)
    if node is None:
        count = prod(sizes.values())
        if count > MOST_MULTIPLICATIONS:
            raise NotLowerable(
                f"a product of {count:,} multiplications for each row is as fast by torch's own operation"
            )
        terms = [Term(left.value.node, left.axes), Term(right.value.node, right.axes)]
        node = einsum(terms, (BLOCK, LEFT, RIGHT), sizes)
    return node


def _of_invariant(lowering: Lowering, operands: tuple[Operand, Operand], bias: Node | None) -> Node:
    left, right = operands
    sizes = left.sizes | right.sizes
    if left.value is None:  # a matrix times columns: the rows of the batch stand upright
        assert right.value is not None
        rows, columns = (BLOCK, RIGHT, MIDDLE), (BLOCK, RIGHT, LEFT)
        turned = einsum([Term(right.value.node, right.axes)], rows, sizes)
        made = _blocks(lowering, turned, left.ref, (sizes[BLOCK], sizes[RIGHT], sizes[MIDDLE], sizes[LEFT]), True, None)
        node = einsum([Term(made, columns)], (BLOCK, LEFT, RIGHT), sizes)
        return node if bias is None else node + bias
    counts = sizes[BLOCK], sizes[LEFT], sizes[MIDDLE], sizes[RIGHT]
    return _blocks(lowering, left.value.node, right.ref, counts, False, bias)


def _by_matrices(lowering: Lowering, left: Operand, right: Operand, sizes: dict[int, int]) -> Node | None:
    """Multiply by an invariant of which each row of the batch has its own copy, as by the invariant itself."""
    assert left.value is not None
    assert right.value is not None
    node = right.value.node
    if node.op != "vector":
        return None
    invariant = lowering.vectors[node.attr[0]]
    own = lowering.recording.shapes[invariant.number]
    features = (sizes[BLOCK], sizes[MIDDLE], sizes[RIGHT])
    if node.width != features[0] * features[1] * features[2] or own[-2:] != features[1:]:
        return None
    if len([size for size in own[:-2] if size != 1]) > (own[:-2].count(features[0]) if features[0] > 1 else 0):
        return None
    counts = sizes[BLOCK], sizes[LEFT], sizes[MIDDLE], sizes[RIGHT]
    return _blocks(lowering, left.value.node, Ref(invariant.number), counts, False, None)


def _blocks(
    lowering: Lowering, node: Node, ref: Ref, counts: tuple[int, int, int, int], transposed: bool, bias: Node | None
) -> Node:
    """Multiply (blocks, pieces, rows) of a row by (blocks, rows, columns), or by one matrix that serves all blocks."""
    blocks, pieces, rows, columns = counts
    graph = lowering.graph
    whole = graph.expand(node, blocks * pieces * rows)
    shape = lowering.shape(ref)
    stack = [size for size in shape[:-2] if size != 1]
    if not stack:
        if blocks * pieces == 1:
            return lowering.factors.product(whole, ref, columns, transposed, bias)
        matrix = lowering.factors.matrix(ref, (rows, columns), transposed)
        made = graph.products(whole, matrix, columns, blocks * pieces)
    elif blocks > MOST_BLOCKS and pieces == 1:
        matrices = [lowering.factors.matrix(ref, (rows, columns), transposed, block=block) for block in range(blocks)]
        made = graph.products(whole, tuple(matrices), columns, blocks)
    elif blocks <= MOST_BLOCKS:
        products = []
        for block in range(blocks):
            piece = graph.slice(whole, block * pieces * rows, pieces * rows)
            if pieces == 1:
                products.append(lowering.factors.product(piece, ref, columns, transposed, None, block))
                continue
            matrix = lowering.factors.matrix(ref, (rows, columns), transposed, block=block)
            products.append(graph.products(piece, matrix, columns, pieces))
        made = graph.concat(products)
    else:
        vector = lowering.value(ref)
        order = (BLOCK, RIGHT, MIDDLE) if transposed else (BLOCK, MIDDLE, RIGHT)
        sizes = dict(zip((BLOCK, LEFT, MIDDLE, RIGHT), counts, strict=True))
        terms = [Term(whole, (BLOCK, LEFT, MIDDLE)), Term(vector.node, order)]
        made = graph.expand(einsum(terms, (BLOCK, LEFT, RIGHT), sizes), blocks * pieces * columns)
    return made if bias is None else made + bias


def blocks_of(lowering: Lowering, node: Node, ref: Ref, counts: tuple[int, int, int, int]) -> Node:
    """Multiply (blocks, pieces, rows) of a row by an invariant (blocks, rows, columns), or (rows, columns)."""
    return _blocks(lowering, node, ref, counts, False, None)


@TABLE.rule("mm", "bmm", "mv")
def _mm(lowering: Lowering, call: Call) -> Value:
    return product_of(lowering, call, call.args[0], call.args[1])


@TABLE.rule("addmm", "baddbmm")
def _addmm(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    left, right = (given[name] for name in (("mat1", "mat2") if "mat1" in given else ("batch1", "batch2")))
    form = lowering.form(call, MIXED)
    bias = lowering.spread(given["self"], *form).node if given["beta"] else None
    if given["alpha"] == 1 and given["beta"] in (0, 1):
        return product_of(lowering, call, left, right, bias)
    result = product_of(lowering, call, left, right)
    node = scaled(result.node, given["alpha"])
    return result.like(node if bias is None else node + scaled(bias, given["beta"]))


@TABLE.rule("addmv")
def _addmv(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    shape, axis = lowering.place(call.output, MIXED)
    product = product_of(lowering, call, given["mat"], given["vec"]).node
    return Value(_weighed(lowering, call, product, shape, axis), shape, axis)


@TABLE.rule("addr")
def _addr(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    shape, axis = lowering.place(call.output, MIXED)
    if axis or lowering.is_value(given["vec2"]):
        raise NotLowerable(MIXED)
    product = lowering.value(given["vec1"]).node * lowering.spread(given["vec2"], shape, axis).node
    return Value(_weighed(lowering, call, product, shape, axis), shape, axis)


def _weighed(lowering: Lowering, call: Call, product: Node, shape: tuple[int, ...], axis: int) -> Node:
    """Add what a call adds to a product, each times its factor."""
    given = lowering.arguments(call)
    scaled_product = scaled(product, given["alpha"])
    if not given["beta"]:
        return scaled_product
    return scaled(lowering.spread(given["self"], shape, axis).node, given["beta"]) + scaled_product


@TABLE.rule("linalg_cross")
def _cross(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    shape, axis = lowering.place(call.output, MIXED)
    a, b = (lowering.spread(given[name], shape, axis) for name in ("self", "other"))
    order = torch.arange(a.width).view(lowering.constants.shape(call.output))
    next_, last = (order.roll(-by, given["dim"]).flatten().tolist() for by in (1, 2))
    return a.like(gather(a.full(), next_) * gather(b.full(), last) - gather(a.full(), last) * gather(b.full(), next_))
