"""Taking apart and joining, along the first dimension of the features."""

from math import prod
from typing import Any

from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value, batch_axis
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=True)


def _features_dim(value: Value, dim: int) -> tuple[int, int]:
    """Return the size of a dimension and how many elements a step along it is.

    Raises:
        NotLowerable: it is not the first of the features.
    """
    dim %= len(value.shape)
    if dim == value.axis:
        raise NotLowerable("it takes the batch apart")
    before = [size for d, size in enumerate(value.shape[:dim]) if d != value.axis]
    if prod(before) != 1:
        raise NotLowerable("it takes apart an inner dimension of the features")
    after = [size for d, size in enumerate(value.shape) if d > dim and d != value.axis]
    return value.shape[dim], prod(after)


def _slice_of(lowering: Lowering, value: Value, dim: int, start: int, stop: int, number: int | None) -> Value | None:
    if number is None:
        return None
    _, inner = _features_dim(value, dim)
    shape, axis = lowering.place(number, "a piece loses the batch")
    return Value(lowering.graph.slice(value.node, start * inner, (stop - start) * inner), shape, axis)


@TABLE.rule("split", "split_with_sizes")
def _split(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    value, dim = lowering.value(given["self"]), given["dim"]
    whole, _ = _features_dim(value, dim)
    sizes: Any = given.get("split_sizes") or given.get("split_size")
    if isinstance(sizes, int):
        sizes = [min(sizes, whole - start) for start in range(0, whole, sizes)]
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    sliced = zip(starts, sizes, call.outputs, strict=True)
    return [_slice_of(lowering, value, dim, start, start + size, number) for start, size, number in sliced]


@TABLE.rule("slice")
def _slice(lowering: Lowering, call: Call) -> Value | None:
    given = lowering.arguments(call)
    value, dim = lowering.value(given["self"]), given["dim"]
    if lowering.recording.shapes[call.output] == value.shape:
        return value
    size, _ = _features_dim(value, dim)
    if given["step"] != 1:
        raise NotLowerable("a slice with a step has no counterpart")
    start, stop, _ = slice(given["start"], given["end"]).indices(size)
    return _slice_of(lowering, value, dim, start, stop, call.output)


@TABLE.rule("select")
def _select(lowering: Lowering, call: Call) -> Value | None:
    given = lowering.arguments(call)
    value = lowering.value(given["self"])
    size, _ = _features_dim(value, given["dim"])
    start = given["index"] % size
    return _slice_of(lowering, value, given["dim"], start, start + 1, call.output)


@TABLE.rule("unbind")
def _unbind(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    value = lowering.value(given["self"])
    return [_slice_of(lowering, value, given["dim"], k, k + 1, number) for k, number in enumerate(call.outputs)]


@TABLE.rule("cat", "stack")
def _cat(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    shape, axis = lowering.place(call.output, "cat hides the batch")
    _features_dim(Value(lowering.graph.number(0), shape, axis), given["dim"])
    for ref in given["tensors"]:
        if not lowering.is_value(ref):
            if batch_axis(lowering.shape(ref), lowering.recording.rows) is not None:
                raise NotLowerable("an invariant has a dimension for the batch")
            raise NotLowerable("cat joins an invariant without the batch")
    return Value(lowering.graph.concat([lowering.value(ref).full() for ref in given["tensors"]]), shape, axis)
