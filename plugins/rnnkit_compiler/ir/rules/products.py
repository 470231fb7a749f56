"""Products of what depends on the rows with an invariant matrix."""

from math import prod

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.pointwise import scaled
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call, Ref

TABLE = Table(cheap=False)

BOTH = "a product of two tensors that both depend on the rows has no counterpart"


def _product(lowering: Lowering, left: Ref, right: Ref, number: int, bias: Node | None = None) -> Value:
    shape, axis = lowering.place(number, BOTH)
    if lowering.is_value(left) == lowering.is_value(right):
        raise NotLowerable(BOTH)
    transposed = lowering.is_value(right)  # a matrix times columns: the rows of the batch stand upright
    value = lowering.value(right if transposed else left)
    weight = left if transposed else right
    sizes = _matrix_sizes(lowering.shape(weight), transposed)
    upright = value.axis == len(value.shape) - (1 if transposed else 2)
    if len(sizes) != 2 or not upright or prod(value.shape) != value.width * value.shape[value.axis]:
        raise NotLowerable("a product of more than two dimensions has no counterpart")
    rows, columns = sizes[::-1] if transposed else sizes
    if value.width != rows:
        raise NotLowerable("a product does not go over all of the features")
    return Value(lowering.product(value.full(), weight, rows, columns, transposed, bias), shape, axis)


def _matrix_sizes(shape: tuple[int, ...], transposed: bool) -> list[int]:
    """Return the sizes of the invariant as a matrix: a vector is one of a single row or column."""
    sizes = list(shape)
    while len(sizes) > 2 and sizes[0] == 1:
        sizes = sizes[1:]
    if len(sizes) == 1:
        sizes = [1, sizes[0]] if transposed else [sizes[0], 1]
    return sizes


@TABLE.rule("mm", "bmm", "mv")
def _mm(lowering: Lowering, call: Call) -> Value:
    return _product(lowering, call.args[0], call.args[1], call.output)


@TABLE.rule("addmm", "baddbmm")
def _addmm(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    left, right = (given[name] for name in (("mat1", "mat2") if "mat1" in given else ("batch1", "batch2")))
    shape, axis = lowering.place(call.output, BOTH)
    bias = lowering.spread(given["self"], shape, axis).node if given["beta"] else None
    if given["alpha"] == 1 and given["beta"] in (0, 1):
        return _product(lowering, left, right, call.output, bias)
    result = _product(lowering, left, right, call.output)
    node = scaled(result.node, given["alpha"])
    return result.like(node if bias is None else node + scaled(bias, given["beta"]))
