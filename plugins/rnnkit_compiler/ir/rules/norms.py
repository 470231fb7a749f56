"""Norms of rows, and what is divided by them."""

import math
from typing import Any

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.along import Along
from rnnkit_compiler.ir.rules.reductions import moments_of, operand, reduced, root
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=False)


@TABLE.rule("linalg_vector_norm", "norm")
def _norm(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    order = given.get("ord", given.get("p"))
    row = operand(lowering, call)
    return reduced(lowering, call, row, norm_of(row, 2.0 if order is None else float(order)))


def norm_of(row: Along, order: float) -> Node:
    """Return the norm along the axes, with torch's derivative."""
    node, size = row.node, row.node.abs()
    graph = node.graph
    if order == 1:
        return row.sum(size)
    if order == 2:
        return root(row.sum(node * node))
    if order == 0:
        return row.sum(node.ne(0))
    if math.isinf(order):
        norm = row.max(size) if order > 0 else row.min(size)
        whole = row.repeat(norm)
        hit = whole.ne(whole).where(node.ne(node), size.eq(whole))
        slope = node.sign() * (hit / row.repeat(row.sum(hit)))
    else:
        norm = row.sum(size.pow(graph.number(order))).pow(graph.number(1 / order))
        slope = node.sign() * size.pow(graph.number(order - 1))
        if order < 1:
            slope = node.eq(0).where(0, slope) * row.repeat(norm.pow(graph.number(1 - order)))
        else:
            slope = slope * row.repeat(norm.eq(0).where(0, 1 / norm.pow(graph.number(order - 1))))
    return norm.instead(row.sum(node * slope.stop()))


@TABLE.rule("renorm")
def _renorm(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    value = lowering.value(given["self"])
    if given["dim"] % len(value.shape) != value.axis or value.joined != 1:
        raise NotLowerable("renorm goes over the batch")
    row, most = Along.dims_of(value, (dim for dim in value.axes() if dim != value.axis)), float(given["maxnorm"])
    norm = norm_of(row, float(given["p"]))
    shrunk = row.node * row.repeat(most / (norm + 1e-7))
    return value.like(row.repeat(norm.gt(most)).where(shrunk, row.node))


@TABLE.rule("native_layer_norm")
def _layer_norm(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    value = lowering.value(given["input"])
    count = len(value.shape)
    row = Along.dims_of(value, range(count - len(given["normalized_shape"]), count))
    if value.axis in row.along:
        raise NotLowerable("layer_norm goes over the batch")
    mean, scale = _mean_and_scale(row, float(given["eps"]))
    normal = (row.node - row.repeat(mean)) * row.repeat(scale)
    statistics = [reduced(lowering, call, row, node, place) for place, node in ((1, mean), (2, scale))]
    return [_scaled(lowering, value.like(normal), given["weight"], given["bias"]), *statistics]


@TABLE.rule("native_group_norm")
def _group_norm(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    value, groups, channels = lowering.value(given["input"]), given["group"], given["C"]
    if value.axis != 0 or value.joined != 1 or value.shape[1] != channels:
        raise NotLowerable("group_norm has the batch in another place than first")
    sizes = {0: groups, 1: value.width // groups}
    normal = value.like(_normal(Along(value, (0, 1), sizes, (1,)), float(given["eps"])))
    of_channels = (channels, *[1] * (len(value.shape) - 2))
    return [_scaled(lowering, normal, given["weight"], given["bias"], of_channels), None, None]


def _mean_and_scale(row: Along, eps: float) -> tuple[Node, Node]:
    """Return what is taken off a row, and what it is then multiplied by."""
    mean, variance = moments_of(row)
    return mean, (variance + eps).rsqrt()


def _normal(row: Along, eps: float) -> Node:
    mean, scale = _mean_and_scale(row, eps)
    return (row.node - row.repeat(mean)) * row.repeat(scale)


def _scaled(
    lowering: Lowering, normal: Value, weight: Any, bias: Any, of_channels: tuple[int, ...] | None = None
) -> Value:
    """Multiply by a weight and add a bias, of the last dimensions, or of the channels."""
    node = normal.node
    for other, op in ((weight, "mul"), (bias, "add")):
        if other is not None:
            node = node.graph.pointwise(op, node, _parameter(lowering, other, normal, of_channels))
    return normal.like(node)


def _parameter(lowering: Lowering, other: Any, normal: Value, of_channels: tuple[int, ...] | None) -> Node:
    if of_channels is None:
        return lowering.spread(other, *normal.form).node
    channels = lowering.value(other)  # (B, C), the same for every row, or (B C,)
    spread = Value(channels.node, (channels.shape[0], *of_channels), 0, channels.joined, channels.outer)
    return lowering.aligned(spread, normal.form).node


@TABLE.rule("native_batch_norm")
def _batch_norm(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    value = lowering.value(given["input"])
    if given["training"] and value.axis == 1 and given["running_mean"] is None:
        return _instance_norm(lowering, value, given)
    if given["training"] or value.axis or value.joined != 1:
        raise NotLowerable("a batch norm that goes over the batch has no counterpart")
    of_channels = (value.shape[1], *[1] * (len(value.shape) - 2))
    mean, variance = (_parameter(lowering, given[f"running_{what}"], value, of_channels) for what in ("mean", "var"))
    normal = (value.full() - mean) * (variance + float(given["eps"])).rsqrt()
    return [_scaled(lowering, value.like(normal), given["weight"], given["bias"], of_channels), None, None]


def _instance_norm(lowering: Lowering, value: Value, given: dict[str, Any]) -> list[Value | None]:
    """Norm each channel of each row by itself: to torch a batch norm of one row, whose channels are those of all."""
    places = (0, *range(2, len(value.shape)))
    normal = value.like(_normal(Along.dims_of(value, places), float(given["eps"])))
    return [_scaled(lowering, normal, given["weight"], given["bias"], (1,) * (len(places) - 1)), None, None]
