"""Activation functions and cut-offs: pointwise operations made of simpler ones."""

from typing import Any

import numpy as np

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.pointwise import pointwise, scaled
from rnnkit_compiler.ir.rules.splits import piece
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import Value
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=True)


def _between(a: Node, low: Any, high: Any, closed: bool) -> Node:
    """Cut off at bounds; the gradient passes at a bound itself if `closed`, and then none passes a NaN."""
    below, above = ("lt", "gt") if closed else ("le", "ge")
    result = a
    if high is not None:
        result = a.graph.pointwise(above, a, high).where(high, result)
    if low is not None:
        result = a.graph.pointwise(below, a, low).where(low, result)
    return a.eq(a).where(result, a.stop()) if closed else result


def _is_literal(bound: Node | None) -> bool:
    return bound is None or (bound.op == "number" and bound.attr[0] == bound.attr[0])


@pointwise(TABLE, "clamp", operands=("self", "min", "max"))
def _clamp(a: Node, low: Node | None, high: Node | None, **_: Any) -> Node:
    if not _is_literal(low) or not _is_literal(high):
        return _clamp_by_tensors(a, low, high)
    if low is not None and high is not None and low.attr[0] > high.attr[0]:
        return a.ne(a).where(a.stop(), high)  # nothing lies between them, so no gradient passes
    return _between(a, low, high, closed=True)


def _clamp_by_tensors(a: Node, low: Node | None, high: Node | None) -> Node:
    """Cut off at bounds that have gradients: each of what it cuts off."""
    value, graph = a, a.graph
    value = value if low is None else value.maximum(low)
    value = value if high is None else value.minimum(high)
    passed = graph.number(1)
    for bound, inside in ((low, "ge"), (high, "le")):
        passed = passed if bound is None else passed * graph.pointwise(inside, a, bound)
    source = passed.where(a, 0)
    if low is not None:
        below = a.lt(low) if high is None else a.lt(low) * low.lt(high)
        source = source + below.where(low, 0)
    if high is not None:
        above = a.gt(high) if low is None else a.gt(high).maximum(high.lt(low)).stop()
        source = source + above.where(high, 0)
    return value.instead(source)


pointwise(TABLE, "clamp_min", operands=("self", "min"))(lambda a, low, **_: _clamp(a, low, None))
pointwise(TABLE, "clamp_max", operands=("self", "max"))(lambda a, high, **_: _clamp(a, None, high))
pointwise(TABLE, "hardtanh")(lambda a, min_val, max_val, **_: _between(a, min_val, max_val, closed=False))


@pointwise(TABLE, "hardsigmoid")
def _hardsigmoid(a: Node, **_: Any) -> Node:
    # torch's derivative has a sixth that is rounded to float32, in float64 too
    slope = a * 0.1666666716337204
    value = a.le(-3).where(0, a.ge(3).where(1, (a + 3) / 6))
    return value.instead(a.gt(-3).where(a.lt(3).where(slope, 0), 0))  # of a NaN it is zero


@pointwise(TABLE, "hardswish")
def _hardswish(a: Node, **_: Any) -> Node:
    value = a * (a + 3).maximum(0).minimum(6) / 6
    slope = a.le(-3).where(0, a.lt(3).where(a / 3 + 0.5, 1))
    return value.instead(a * slope.stop())


pointwise(TABLE, "leaky_relu")(lambda a, negative_slope, **_: a.gt(0).where(a, a * float(negative_slope)))
pointwise(TABLE, "threshold")(lambda a, threshold, value, **_: a.le(threshold).where(value, a))
pointwise(TABLE, "silu")(lambda a, **_: a * a.sigmoid())
pointwise(TABLE, "mish")(lambda a, **_: a * _softplus(a, 1, 20).tanh())


@pointwise(TABLE, "hardshrink")
def _hardshrink(a: Node, lambd: Any, **_: Any) -> Node:
    inside = a.ge(-float(lambd)) * a.le(float(lambd))
    return inside.where(0, a)


@pointwise(TABLE, "softshrink")
def _softshrink(a: Node, lambd: Any, **_: Any) -> Node:
    outside = a.gt(float(lambd)).where(a - float(lambd), a.lt(-float(lambd)).where(a + float(lambd), 0))
    return a.ne(a).where(a, outside)


pointwise(TABLE, "_prelu_kernel", operands=("self", "weight"))(lambda a, w, **_: a.gt(0).where(a, w * a))


@pointwise(TABLE, "celu")
def _celu(a: Node, alpha: Any, **_: Any) -> Node:
    rounded = float(np.float32(alpha))  # in the derivative torch rounds it, whatever the dtype
    return _elu(a, alpha, 1.0, 1.0 / alpha).instead(_elu(a, alpha, 1.0, 1.0 / rounded))


@TABLE.rule("glu")
def _glu(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    value, half = lowering.value(given["self"]), lowering.shape(given["self"])[given["dim"]] // 2
    a, b = (piece(value, given["dim"], start, start + half) for start in (0, half))
    return a.like(a.node * b.node.sigmoid())


@pointwise(TABLE, "elu")
def _elu(a: Node, alpha: Any, scale: Any, input_scale: Any, **_: Any) -> Node:
    negative = a.gt(0).where(0, a)  # so that the branch not taken does not overflow
    below = scaled(scaled(negative, input_scale).expm1(), alpha * scale)
    return a.gt(0).where(scaled(a, scale), below)


@pointwise(TABLE, "softplus")
def _softplus(a: Node, beta: Any, threshold: Any, **_: Any) -> Node:
    stretched = scaled(a, beta)
    linear = stretched.gt(threshold)
    bent = linear.where(0, stretched).exp().log1p()  # the 0, so that the branch not taken does not overflow
    return linear.where(a, bent if beta == 1 else bent / float(beta))


@pointwise(TABLE, "gelu")
def _gelu(a: Node, approximate: str, **_: Any) -> Node:
    if approximate == "tanh":
        return a * 0.5 * (((a + a * a * a * 0.044715) * 0.7978845608028654).tanh() + 1)
    return a * 0.5 * ((a * 0.7071067811865476).erf() + 1)


@TABLE.rule("log_sigmoid_forward")
def _log_sigmoid(lowering: Lowering, call: Call) -> list[Any]:
    value = lowering.value(call.args[0])
    a = value.node
    share = (-a.abs()).exp()  # which torch keeps for backward
    return [value.like(a.minimum(0) - share.log1p()), value.like(share)]
