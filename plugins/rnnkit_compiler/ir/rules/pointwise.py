"""Pointwise operations: each a function from nodes, and other arguments by name, to a node."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from rnnkit_compiler.ir.contraction import multiplied
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import Value
from rnnkit_compiler.trace import applied, instead
from rnnkit_compiler.trace.recording import Call

Function = Callable[..., Node]

TABLE = Table(cheap=True)

UNARY = (
    *("neg", "sigmoid", "tanh", "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "sin", "cos"),
    *("tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erf", "erfc", "abs", "sign", "floor"),
    *("ceil", "trunc", "relu"),
)
BINARY = ("maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge", "atan2")
"""Operations that have aten's name in the intermediate form."""


def pointwise(table: Table, *names: str, operands: Sequence[str] = ("self",)) -> Callable[[Function], Function]:
    """Enter a function for pointwise operations of these names.

    Args:
        table: to enter it in.
        names: of the operations.
        operands: the arguments that it takes as nodes, in order; it takes the others by name.
    """

    def enter(function: Function) -> Function:
        def lower(lowering: Lowering, call: Call) -> Value:
            given = lowering.arguments(call)
            form = lowering.form(call, f"{call.name} gives a tensor without the batch")
            nodes = [None if given[name] is None else lowering.spread(given[name], *form).node for name in operands]
            others = {name: value for name, value in given.items() if name not in operands}
            return Value(function(*nodes, **others), *form)

        table.rule(*names)(lower)
        return function

    return enter


def scaled(node: Node, factor: Any) -> Node:
    """Multiply by a literal, unless it is 1."""
    return node if factor == 1 else node * float(factor)


def _same_name(op: str) -> Function:
    return lambda *nodes, **_: nodes[0].graph.pointwise(op, *nodes)


def _enter(*names: str, operands: Sequence[str] = ("self",)) -> Callable[[Function], Function]:
    return pointwise(TABLE, *names, operands=operands)


for _name in UNARY:
    _enter(_name)(_same_name(_name))
for _name in BINARY:
    _enter(_name, operands=("self", "other"))(_same_name(_name))
_enter("mul", operands=("self", "other"))(lambda a, b, **_: multiplied(a, b))
_enter("_neg_view")(_same_name("neg"))
_enter("sgn")(_same_name("sign"))
_enter("reciprocal")(lambda a, **_: 1 / a)
_enter("isnan")(lambda a, **_: a.ne(a))
_enter("heaviside", operands=("self", "values"))(lambda a, at_zero, **_: a.eq(0).where(at_zero, a.gt(0)).stop())
_enter("logical_not", "bitwise_not")(lambda a, **_: a.eq(0))
_enter("logical_and", operands=("self", "other"))(lambda a, b, **_: a.ne(0) * b.ne(0))
_enter("logical_or", operands=("self", "other"))(lambda a, b, **_: a.ne(0).maximum(b.ne(0)).stop())
_enter("logical_xor", operands=("self", "other"))(lambda a, b, **_: a.ne(0).ne(b.ne(0)))
_enter("masked_fill", operands=("self", "mask", "value"))(lambda a, mask, value, **_: mask.where(value, a))
_enter(instead.NAME, operands=("value", "source"))(lambda a, b, **_: a.instead(b))
_enter(applied.NAME, applied.ONCE, operands=("value", "source", "slope"))(
    lambda a, b, slope, **_: a.instead(b * slope.stop())
)
_enter("add", operands=("self", "other"))(lambda a, b, alpha, **_: a + scaled(b, alpha))
_enter("sub", operands=("self", "other"))(lambda a, b, alpha, **_: a - scaled(b, alpha))
_enter("rsub", operands=("self", "other"))(lambda a, b, alpha, **_: b - scaled(a, alpha))
_enter("where", operands=("condition", "self", "other"))(lambda c, a, b, **_: c.where(a, b))
_enter("addcmul", operands=("self", "tensor1", "tensor2"))(
    lambda a, b, c, value, **_: a + scaled(multiplied(b, c), value)
)
_enter("addcdiv", operands=("self", "tensor1", "tensor2"))(lambda a, b, c, value, **_: a + scaled(b / c, value))


@_enter("lerp", operands=("self", "end", "weight"))
def _lerp(a: Node, b: Node, w: Node, **_: Any) -> Node:
    # From the nearer end, as torch does, so that each end is met to the bit.
    from_start, from_end = a + w * (b - a), b - (b - a) * (1 - w)
    if w.op == "number" and isinstance(w.attr[0], float):
        return from_start if abs(w.attr[0]) < 0.5 else from_end
    return w.abs().lt(0.5).where(from_start, from_end)


@_enter("pow", operands=("self", "exponent"))
def _pow(a: Node, b: Node, **_: Any) -> Node:
    powers: dict[Any, Callable[[], Node]] = {
        0.5: a.sqrt,
        1.0: lambda: a,
        2.0: lambda: a * a,
        3.0: lambda: a * a * a,
        -0.5: a.rsqrt,
        -1.0: lambda: 1 / a,
    }
    exponent = b.attr[0] if b.op == "number" else None
    return powers[exponent]() if exponent in powers else a.pow(b)


def finite(a: Node) -> Node:
    """Return 0 in place of an infinity: what is taken off before `exp`, so that infinities come out as they are."""
    return a.abs().eq(math.inf).where(0, a)


@_enter("logaddexp", operands=("self", "other"))
def _logaddexp(a: Node, b: Node, **_: Any) -> Node:
    return _logarithm_of_sum(a, b, "exp", "log")


@_enter("logaddexp2", operands=("self", "other"))
def _logaddexp2(a: Node, b: Node, **_: Any) -> Node:
    return _logarithm_of_sum(a, b, "exp2", "log2")


def _logarithm_of_sum(a: Node, b: Node, power: str, logarithm: str) -> Node:
    largest = a.maximum(b)
    endless = largest.eq(math.inf)  # it has the gradient, where a share of infinite powers would be no number
    a, b = endless.where(0, a), endless.where(0, b)
    top = finite(a.maximum(b)).stop()
    powers = [a.graph.pointwise(power, each - top) for each in (a, b)]
    return endless.where(largest, top + a.graph.pointwise(logarithm, powers[0] + powers[1]))
