"""Special functions, and functions that torch has a derivative of its own for."""

import math
from typing import Any

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.rules.pointwise import pointwise
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.special import VJPS

TABLE = Table(cheap=True)

OPERANDS = {
    "polygamma": ("n", "self"),
    "zeta": ("self", "other"),
    "igamma": ("self", "other"),
    "igammac": ("self", "other"),
}

OF_SPECIAL = ("zeta", "erfcx", "ndtri", "log_ndtr", "i0e", "i1", "i1e")
"""Those that aten has under names of their own kind."""

for _name in VJPS:
    pointwise(TABLE, f"special_{_name}" if _name in OF_SPECIAL else _name, operands=OPERANDS.get(_name, ("self",)))(
        lambda a, *others, _name=_name, **_: a.graph.pointwise(_name, a, *others)
    )


@pointwise(TABLE, "mvlgamma")
def _mvlgamma(a: Node, p: int, **_: Any) -> Node:
    total = a.graph.number(p * (p - 1) / 4 * math.log(math.pi))
    for k in range(p):
        total = total + (a - 0.5 * k).lgamma()
    return total


@pointwise(TABLE, "special_entr")
def _entr(a: Node, **_: Any) -> Node:
    positive = -(a * a.log())
    value = a.gt(0).where(positive, a.eq(0).where(0, a.ne(a).where(a, -math.inf)))
    return value.instead(a * (-(a.log() + 1)).stop())


@pointwise(TABLE, "sinc")
def _sinc(a: Node, **_: Any) -> Node:
    turned = a * math.pi
    square = a * a * math.pi
    zero, flat = a.eq(0), square.eq(0)
    value = zero.where(1, turned.sin() / zero.where(1, turned))
    slope = (turned * turned.cos() - turned.sin()) / flat.where(1, square)
    return value.instead(a * flat.where(0, slope).stop())


@pointwise(TABLE, "logit")
def _logit(a: Node, eps: float | None, **_: Any) -> Node:
    if eps is None:
        outside = a.lt(0).maximum(a.gt(1))
        return (a / (1 - a)).log().instead(a * outside.where(math.nan, 1 / (a * (1 - a))).stop())
    inside = a.ge(eps) * a.le(1 - eps)
    within = a.lt(eps).where(eps, a.gt(1 - eps).where(1 - eps, a))
    return (within / (1 - within)).log().instead(inside.where(a / (within * (1 - within)).stop(), 0))


@pointwise(TABLE, "xlogy", operands=("self", "other"))
def _xlogy(a: Node, b: Node, **_: Any) -> Node:
    return _product_with_log(a, b, b.log(), b)


@pointwise(TABLE, "special_xlog1py", operands=("self", "other"))
def _xlog1py(a: Node, b: Node, **_: Any) -> Node:
    return _product_with_log(a, b, b.log1p(), b + 1)


def _product_with_log(a: Node, b: Node, logarithm: Node, argument: Node) -> Node:
    """Return a log(argument), 0 where a is 0; and where the logarithm is then of nothing, no gradient."""
    zero, nan = a.eq(0), b.ne(b)
    value = nan.where(math.nan, zero.where(0, a * logarithm))
    nothing = zero * argument.le(0)
    return value.instead(a * nothing.where(0, logarithm).stop() + b * (a / argument).stop())
