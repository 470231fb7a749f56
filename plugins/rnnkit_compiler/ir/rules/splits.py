"""Taking apart and joining, along a dimension of the features."""

from math import prod
from typing import Any

from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.pieces import Row, cut, join, window
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value, batch_axis, written
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=True)


def _row_along(value: Value, dim: int) -> Row:
    """Return the row as it lies around a dimension.

    Raises:
        NotLowerable: it is the batch's.
    """
    dim %= len(value.shape)
    if dim == value.axis:
        if value.joined > 1:
            shape = written(value.shape, value.shape[dim] // value.joined)
            raise NotLowerable(f"a tensor of shape {shape} joins the batch with other dimensions")
        raise NotLowerable("it takes the batch apart")
    return Row(value.node, prod(value.dims[:dim]), value.shape[dim], prod(value.dims[dim + 1 :]))


def piece(value: Value, dim: int, start: int, stop: int, keep: bool = True) -> Value:
    """Return [start, stop) of a dimension; without the dimension unless `keep`."""
    dim %= len(value.shape)
    row = _row_along(value, dim)
    node = cut(row, start, stop) if start < stop else value.node.graph.number(0)
    size = (stop - start,) if keep else ()
    shape = (*value.shape[:dim], *size, *value.shape[dim + 1 :])
    return Value(node, shape, value.axis - (not keep and dim < value.axis), value.joined, value.outer)


def _every(value: Value, dim: int, start: int, stop: int, step: int) -> Value:
    """Return one of `step` elements along a dimension: the first of each piece of so many."""
    row = _row_along(value, dim)
    count = len(range(start, stop, step))
    whole = window(row, start, start + count * step)
    node = cut(Row(whole, row.outer * count, step, row.inner), 0, 1)
    shape = (*value.shape[:dim], count, *value.shape[dim + 1 :])
    return Value(node, shape, value.axis, value.joined, value.outer)


@TABLE.rule("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes")
def _split(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    value, dim = lowering.value(given["self"]), given["dim"]
    whole = value.shape[dim]
    sizes: Any = given.get("split_sizes") or given.get("split_size")
    if isinstance(sizes, int):
        sizes = [min(sizes, whole - start) for start in range(0, whole, sizes)]
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    sliced = zip(starts, sizes, call.outputs, strict=True)
    return [None if number is None else piece(value, dim, start, start + size) for start, size, number in sliced]


@TABLE.rule("slice")
def _slice(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    value, dim = lowering.value(given["self"]), given["dim"]
    if lowering.recording.shapes[call.output] == value.shape:
        return value
    size = _row_along(value, dim).size
    start, stop, step = slice(given["start"], given["end"], given["step"]).indices(size)
    return piece(value, dim, start, stop) if step == 1 else _every(value, dim % len(value.shape), start, stop, step)


@TABLE.rule("select")
def _select(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    value = lowering.value(given["self"])
    start = given["index"] % _row_along(value, given["dim"]).size
    return piece(value, given["dim"], start, start + 1, keep=False)


@TABLE.rule("unbind")
def _unbind(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    value = lowering.value(given["self"])
    _row_along(value, given["dim"])
    return [
        None if number is None else piece(value, given["dim"], k, k + 1, keep=False)
        for k, number in enumerate(call.outputs)
    ]


@TABLE.rule("cat", "stack")
def _cat(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    form = lowering.form(call, "cat hides the batch")
    whole = Value(lowering.graph.number(0), *form)
    dim = given["dim"] % len(whole.shape)
    outer, _, inner = _row_along(whole, dim)[1:]
    rows = []
    for ref in given["tensors"]:
        if not lowering.is_value(ref):
            if batch_axis(lowering.shape(ref), lowering.recording.rows) is not None:
                raise NotLowerable("an invariant has a dimension for the batch")
            raise NotLowerable("cat joins an invariant without the batch")
        value = lowering.value(ref)
        if (value.joined, value.outer) != (whole.joined, whole.outer):
            raise NotLowerable("cat joins tensors that have the batch in different places")
        if value.width:  # a piece without elements is no more than a place to cut at
            rows.append(Row(value.full(), outer, value.width // (outer * inner), inner))
    return Value(join(rows), *form)


@TABLE.rule("constant_pad_nd")
def _pad(lowering: Lowering, call: Call) -> Value:
    """Put a number around; pads come in pairs, of the last dimension first, and take off where they are negative."""
    given = lowering.arguments(call)
    value, pads, number = lowering.value(given["self"]), given["pad"], float(given["value"] or 0)
    inside = value.like(lowering.graph.number(1))
    for k, dim in enumerate(range(len(value.shape) - 1, len(value.shape) - 1 - len(pads) // 2, -1)):
        value, inside = (_padded(v, dim, *pads[2 * k : 2 * k + 2]) for v in (value, inside))
    return value if number == 0 else value.like(inside.node.where(value.node, number))


def _padded(value: Value, dim: int, before: int, behind: int) -> Value:
    row = _row_along(value, dim) if before or behind else None
    if row is None:
        return value
    shape = (*value.shape[:dim], row.size + before + behind, *value.shape[dim + 1 :])
    return Value(window(row, -before, row.size + behind), shape, value.axis, value.joined, value.outer)
