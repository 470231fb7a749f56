"""What autograd computes in a step that takes a gradient itself, of an energy for one.

Source: the derivatives of the operations in `activations`, `reductions` and `norms`, in torch's cases.
"""

import math
from collections.abc import Callable
from typing import Any

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.along import Along
from rnnkit_compiler.ir.rules.pointwise import Function, pointwise, scaled
from rnnkit_compiler.ir.rules.reductions import along, moments_of
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=True)
ALONG = Table(cheap=False)

OF_OUTPUT = ("grad_output", "output")
OF_INPUT = ("grad_output", "self")

MEAN = 1
"""What aten says for the reduction of a loss to its mean."""


pointwise(TABLE, "tanh_backward", operands=OF_OUTPUT)(lambda g, y, **_: g * (1 - y * y))
pointwise(TABLE, "sigmoid_backward", operands=OF_OUTPUT)(lambda g, y, **_: g * y * (1 - y))
pointwise(TABLE, "threshold_backward", operands=OF_INPUT)(lambda g, a, threshold, **_: a.le(threshold).where(0, g))


@pointwise(TABLE, "hardtanh_backward", operands=OF_INPUT)
def _of_hardtanh(g: Node, a: Node, min_val: float, max_val: float, **_: Any) -> Node:
    return a.le(min_val).maximum(a.ge(max_val)).stop().where(0, g)


@pointwise(TABLE, "leaky_relu_backward", operands=OF_INPUT)
def _of_leaky_relu(g: Node, a: Node, negative_slope: float, **_: Any) -> Node:
    return a.gt(0).where(g, g * float(negative_slope))


@pointwise(TABLE, "elu_backward", operands=("grad_output", "self_or_result"))
def _of_elu(g: Node, a: Node, alpha: Any, scale: Any, input_scale: Any, is_result: bool) -> Node:
    if is_result:
        bent = (a + float(alpha) * float(scale)) * float(input_scale)
    else:
        bent = (a.gt(0).where(0, a) * float(input_scale)).exp() * (float(input_scale) * float(alpha) * float(scale))
    bent = a.lt(0).where(bent, bent.stop())  # at zero itself torch has no second derivative
    return g * a.gt(0).where(float(scale), bent)


@pointwise(TABLE, "softplus_backward", operands=OF_INPUT)
def _of_softplus(g: Node, a: Node, beta: Any, threshold: Any, **_: Any) -> Node:
    stretched = scaled(a, beta)
    share = stretched.sigmoid()
    bent = stretched.lt(threshold).where(share, share.stop())  # at the bound itself torch has no second derivative
    return g * stretched.gt(threshold).where(1, bent)


@pointwise(TABLE, "log_sigmoid_backward", operands=OF_INPUT)
def _of_log_sigmoid(g: Node, a: Node, **_: Any) -> Node:
    return g * (-a).sigmoid()


def _of_shrink(g: Node, a: Node, lambd: Any, **_: Any) -> Node:
    return (a.ge(-float(lambd)) * a.le(float(lambd))).where(0, g)


pointwise(TABLE, "softshrink_backward", operands=OF_INPUT)(_of_shrink)
pointwise(TABLE, "hardshrink_backward", operands=("grad_out", "self"))(_of_shrink)


@pointwise(TABLE, "hardswish_backward", operands=OF_INPUT)
def _of_hardswish(g: Node, a: Node, **_: Any) -> Node:
    return a.le(-3).where(0, a.ge(3).where(g, g * (a / 3 + 0.5)))


@TABLE.rule("_prelu_kernel_backward")
def _of_prelu(lowering: Lowering, call: Call) -> list[Value]:
    form = lowering.form(call, f"{call.name} gives a tensor without the batch")
    g, a, weight = (lowering.spread(operand, *form).node for operand in call.args)

    def outputs(positive: Node) -> tuple[Node, Node]:
        return positive.where(g, weight * g), positive.where(0, a * g)

    # torch takes zero for negative in the values, and for positive in their derivatives
    pairs = zip(outputs(a.gt(0)), outputs(a.ge(0)), strict=True)
    return [Value(value.stop().instead(derived), *form) for value, derived in pairs]


@pointwise(TABLE, "silu_backward", operands=OF_INPUT)
def _of_silu(g: Node, a: Node, **_: Any) -> Node:
    share = a.sigmoid()
    return g * share * (a * (1 - share) + 1)


@pointwise(TABLE, "gelu_backward", operands=OF_INPUT)
def _of_gelu(g: Node, a: Node, approximate: str, **_: Any) -> Node:
    if approximate == "tanh":
        bent = ((a + a * a * a * 0.044715) * math.sqrt(2 / math.pi)).tanh()
        inner = (a * a * (3 * 0.044715) + 1) * math.sqrt(2 / math.pi)
        return g * ((bent + 1) * 0.5 + a * 0.5 * (1 - bent * bent) * inner)
    below = ((a * math.sqrt(0.5)).erf() + 1) * 0.5
    return g * (below + a * (a * a * -0.5).exp() * (1 / math.sqrt(2 * math.pi)))


def _of_loss(*names: str) -> Callable[[Function], Function]:
    """Enter a function of gradient and error for the slopes of losses that are added up, or left as they are."""

    def enter(function: Function) -> Function:
        @pointwise(TABLE, *names, operands=("grad_output", "self", "target"))
        def lower(g: Node, a: Node, b: Node, reduction: int, **others: Any) -> Node:
            if reduction == MEAN:
                raise NotLowerable("the mean of a loss over all rows depends on how many there are")
            return function(g, a - b, **others)

        return function

    return enter


_of_loss("mse_loss_backward")(lambda g, error: g * error * 2)


@_of_loss("huber_loss_backward")
def _of_huber_loss(g: Node, error: Node, delta: Any) -> Node:
    return g * error.abs().lt(float(delta)).where(error, error.sign() * float(delta))


@_of_loss("smooth_l1_loss_backward")
def _of_smooth_l1_loss(g: Node, error: Node, beta: Any) -> Node:
    return g * error.abs().lt(float(beta)).where(error / float(beta), error.sign())


def _row_and_gradient(lowering: Lowering, call: Call, name: str, gradient: str) -> tuple[Along, Node]:
    """Return a tensor along the dimensions that a call goes along, and the gradient that lies as it does."""
    given = lowering.arguments(call)
    last = [*range(-len(given.get("normalized_shape", ())), 0)]
    row = along(lowering, call, given.get("dim", last), given[name])
    return row, lowering.spread(given[gradient], *row.value.form).full()


@ALONG.rule("_softmax_backward_data")
def _of_softmax(lowering: Lowering, call: Call) -> Value:
    row, g = _row_and_gradient(lowering, call, "output", "grad_output")
    weighed = g * row.node
    return row.value.like(weighed - row.node * row.repeat(row.sum(weighed)))


@ALONG.rule("_log_softmax_backward_data")
def _of_log_softmax(lowering: Lowering, call: Call) -> Value:
    row, g = _row_and_gradient(lowering, call, "output", "grad_output")
    return row.value.like(g - row.node.exp() * row.repeat(row.sum(g)))


@ALONG.rule("native_layer_norm_backward")
def _of_layer_norm(lowering: Lowering, call: Call) -> list[Value | None]:
    if any(number is not None for number in call.outputs[1:]):
        raise NotLowerable("the gradient of a normalisation's weight, which all rows add to, has no counterpart")
    row, g = _row_and_gradient(lowering, call, "input", "grad_out")
    given = lowering.arguments(call)
    if given["weight"] is not None:
        g = g * lowering.spread(given["weight"], *row.value.form).full()
    # torch hands over mean and scale as numbers, and differentiates through them all the same
    mean, variance = moments_of(row)
    known = lowering.value(given["rstd"]).full()
    scale = row.repeat((variance + (1 / (known * known) - variance).stop()).rsqrt())
    normal = (row.node - row.repeat(mean)) * scale
    shared = row.repeat(row.sum(g) / row.size()) + normal * row.repeat(row.sum(g * normal) / row.size())
    return [row.value.like((g - shared) * scale), None, None]
