"""What is left by a division, whole parts, and what goes with signs and neighbours."""

import math
from typing import Any

import torch

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.pointwise import pointwise, scaled
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import Value
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=True)

for _name in ("remainder", "fmod", "hypot", "copysign", "fmax", "fmin", "nextafter"):
    pointwise(TABLE, _name, operands=("self", "other"))(lambda a, b, _name=_name, **_: a.graph.pointwise(_name, a, b))
pointwise(TABLE, "floor_divide", operands=("self", "other"))(lambda a, b, **_: a.floordiv(b))
pointwise(TABLE, "frac")(lambda a, **_: a - a.trunc())
pointwise(TABLE, "deg2rad")(lambda a, **_: a * (math.pi / 180))
pointwise(TABLE, "rad2deg")(lambda a, **_: a * (180 / math.pi))
pointwise(TABLE, "isinf")(lambda a, **_: a.abs().eq(math.inf))
pointwise(TABLE, "isposinf")(lambda a, **_: a.eq(math.inf))
pointwise(TABLE, "isneginf")(lambda a, **_: a.eq(-math.inf))
pointwise(TABLE, "signbit")(lambda a, **_: a.graph.number(1).copysign(a).lt(0).stop())
pointwise(TABLE, "angle")(lambda a, **_: a.ne(a).where(a, a.lt(0).where(math.pi, 0)).stop())
pointwise(TABLE, "ldexp", operands=("self", "other"))(lambda a, b, **_: a * b.exp2())


@pointwise(TABLE, "div", operands=("self", "other"))
def _div(a: Node, b: Node, rounding_mode: str | None = None, **_: Any) -> Node:
    if rounding_mode == "floor":
        return a.floordiv(b)
    return a / b if rounding_mode is None else (a / b).trunc()


@pointwise(TABLE, "round")
def _round(a: Node, decimals: int = 0, **_: Any) -> Node:
    if not decimals:
        return a.graph.pointwise("round", a)
    ten = 10.0 ** abs(decimals)
    return (a * ten).round() / ten if decimals > 0 else scaled((a / ten).round(), ten)


@TABLE.rule("nan_to_num")
def _nan_to_num(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    value = lowering.value(given["self"])
    largest = torch.finfo(lowering.recording.dtypes[call.output]).max
    high, low = (
        end if given[name] is None else given[name] for name, end in (("posinf", largest), ("neginf", -largest))
    )
    a = value.node
    infinite = a.abs().eq(math.inf).where(a.gt(0).where(high, low), a)
    return value.like(a.ne(a).where(given["nan"] or 0.0, infinite))
