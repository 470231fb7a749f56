"""Reductions over all of a row, and what is made of them."""

from math import prod
from typing import Any

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.pointwise import finite
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=False)


def _whole_row(lowering: Lowering, call: Call, dims: Any) -> Value:
    """Return the operand of a reduction.

    Raises:
        NotLowerable: it does not go over all features, or goes over more than these.
    """
    value = lowering.value(call.args[0])
    count = len(value.shape)
    if dims is None or (isinstance(dims, list | tuple) and not dims):
        raise NotLowerable(f"{call.name} goes over the batch")
    chosen = {dim % count for dim in (dims if isinstance(dims, list | tuple) else [dims])}
    left = [size for dim, size in enumerate(value.shape) if dim not in chosen and dim != value.axis]
    if value.axis in chosen or prod(left) != 1:
        raise NotLowerable(f"{call.name} does not go over all of the features")
    return value


def _operand(lowering: Lowering, call: Call) -> Value:
    """Return the operand of a reduction whose dimensions are an argument named `dim`."""
    return _whole_row(lowering, call, lowering.arguments(call).get("dim"))


def _reduced(lowering: Lowering, call: Call, node: Node, output: int = 0) -> Value:
    """Return a single number of each row as a result of the call."""
    shape, axis = lowering.place(call.outputs[output], f"{call.name} goes over the batch")
    return Value(node, shape, axis)


@TABLE.rule("sum")
def _sum(lowering: Lowering, call: Call) -> Value:
    value = _operand(lowering, call)
    return _reduced(lowering, call, lowering.graph.sum(value.full(), value.width))


@TABLE.rule("mean")
def _mean(lowering: Lowering, call: Call) -> Value:
    return _reduced(lowering, call, _mean_of(_operand(lowering, call)))


@TABLE.rule("amax")
def _amax(lowering: Lowering, call: Call) -> Value:
    return _reduced(lowering, call, lowering.graph.max(_operand(lowering, call).full()))


@TABLE.rule("amin")
def _amin(lowering: Lowering, call: Call) -> Value:
    return _reduced(lowering, call, lowering.graph.min(_operand(lowering, call).full()))


@TABLE.rule("var")
def _var(lowering: Lowering, call: Call) -> Value:
    return _reduced(lowering, call, _variance_of(_operand(lowering, call), _correction(lowering, call)))


@TABLE.rule("std")
def _std(lowering: Lowering, call: Call) -> Value:
    variance = _variance_of(_operand(lowering, call), _correction(lowering, call))
    return _reduced(lowering, call, _root(variance))


@TABLE.rule("var_mean")
def _var_mean(lowering: Lowering, call: Call) -> list[Value]:
    value = _operand(lowering, call)
    variance = _reduced(lowering, call, _variance_of(value, _correction(lowering, call)))
    return [variance, _reduced(lowering, call, _mean_of(value), output=1)]


def _mean_of(value: Value) -> Node:
    if value.node.width == 1:  # one number for all units
        return value.node
    node = value.full()
    mean = node.graph.sum(node, value.width) / node.graph.size(value.width)
    # A sum in lanes rounds; where all numbers are equal, they are their mean to the last bit, as in torch.
    largest = node.graph.max(node)
    off = largest.eq(node.graph.min(node)).where(largest - finite(mean), 0)
    return mean + off.stop()


def _variance_of(value: Value, correction: float) -> Node:
    if value.width == 1:
        raise NotLowerable("a variance of one unit is rounding alone")
    node = value.full()
    # The deviations from the mean add up to zero, so no gradient goes by way of the mean.
    centred = node - _mean_of(value).stop()
    return node.graph.sum(centred * centred, value.width) / node.graph.size(value.width, -int(correction))


def _correction(lowering: Lowering, call: Call) -> float:
    """Return what is taken off the number of elements: 1 unless an argument says otherwise."""
    given = lowering.arguments(call)["correction"]
    correction = 1.0 if given is None else float(given)
    if correction != int(correction):
        raise NotLowerable("a variance with a correction that is no whole number has no counterpart")
    return correction


@TABLE.rule("linalg_vector_norm", "norm")
def _norm(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    order = given.get("ord", given.get("p"))
    value = _operand(lowering, call)
    node = value.full()
    if order == 1:
        return _reduced(lowering, call, lowering.graph.sum(node.abs(), value.width))
    if order not in (2, None):
        raise NotLowerable(f"a norm of order {order} has no counterpart")
    return _reduced(lowering, call, _root(lowering.graph.sum(node * node, value.width)))


def _root(squares: Node) -> Node:
    """Return the square root of a sum of squares; at 0, where it has no derivative, torch gives 0."""
    zero = squares.eq(0)
    return zero.where(0, zero.where(1, squares).sqrt())


@TABLE.rule("_softmax")
def _softmax(lowering: Lowering, call: Call) -> Value:
    value = _operand(lowering, call)
    node = value.full()
    raised = (node - lowering.graph.max(node).stop()).exp()  # the largest is taken off, so that none overflows
    return value.like(raised / lowering.graph.sum(raised, value.width))


@TABLE.rule("_log_softmax")
def _log_softmax(lowering: Lowering, call: Call) -> Value:
    value = _operand(lowering, call)
    node = value.full()
    lowered = node - lowering.graph.max(node).stop()
    return value.like(lowered - lowering.graph.sum(lowered.exp(), value.width).log())


@TABLE.rule("logsumexp")
def _logsumexp(lowering: Lowering, call: Call) -> Value:
    value = _operand(lowering, call)
    node = value.full()
    top = finite(lowering.graph.max(node)).stop()
    return _reduced(lowering, call, top + lowering.graph.sum((node - top).exp(), value.width).log())


@TABLE.rule("native_layer_norm")
def _layer_norm(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    value = lowering.value(given["input"])
    if prod(given["normalized_shape"]) != value.width:
        raise NotLowerable("layer_norm does not go over all of the features")
    normal = (value.full() - _mean_of(value)) * (_variance_of(value, 0) + float(given["eps"])).rsqrt()
    for name, op in (("weight", "mul"), ("bias", "add")):
        if given[name] is not None:
            other = lowering.spread(given[name], value.shape, value.axis).node
            normal = normal.graph.pointwise(op, normal, other)
    return [value.like(normal), None, None]
