"""Activation functions and cut-offs: pointwise operations made of simpler ones."""

from typing import Any

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.pointwise import pointwise, scaled
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable
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


@pointwise(TABLE, "clamp", operands=("self", "min", "max"))
def _clamp(a: Node, low: Node | None, high: Node | None, **_: Any) -> Node:
    for bound in (low, high):
        if bound is not None and (bound.op != "number" or bound.attr[0] != bound.attr[0]):
            raise NotLowerable("clamp by tensors, or by NaN, has no counterpart")
    if low is not None and high is not None and low.attr[0] > high.attr[0]:
        return a.ne(a).where(a.stop(), high)  # nothing lies between them, so no gradient passes
    return _between(a, low, high, closed=True)


pointwise(TABLE, "clamp_min", operands=("self", "min"))(lambda a, low, **_: _clamp(a, low, None))
pointwise(TABLE, "clamp_max", operands=("self", "max"))(lambda a, high, **_: _clamp(a, None, high))
pointwise(TABLE, "hardtanh")(lambda a, min_val, max_val, **_: _between(a, min_val, max_val, closed=False))


@pointwise(TABLE, "hardsigmoid")
def _hardsigmoid(a: Node, **_: Any) -> Node:
    # torch's derivative has a sixth that is rounded to float32, in float64 too
    slope = a * 0.1666666716337204
    return a.le(-3).where(0, a.ge(3).where(1, slope + ((a + 3) / 6 - slope).stop()))


pointwise(TABLE, "hardswish")(lambda a, **_: a.le(-3).where(0, a.ge(3).where(a, a * (a + 3) / 6)))
pointwise(TABLE, "leaky_relu")(lambda a, negative_slope, **_: a.gt(0).where(a, a * float(negative_slope)))
pointwise(TABLE, "threshold")(lambda a, threshold, value, **_: a.le(threshold).where(value, a))
pointwise(TABLE, "silu")(lambda a, **_: a * a.sigmoid())
pointwise(TABLE, "mish")(lambda a, **_: a * _softplus(a, 1, 20).tanh())


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
    return [value.like(a.minimum(0) - (-a.abs()).exp().log1p()), None]  # torch keeps the second for backward
