"""The pointwise operations of the intermediate form: what each is in C++, what it costs, and its derivative.

Truth is a number: a comparison gives 1 or 0, and `where` asks whether its first operand is 0. The C++ operands are
vectors named `a`, `b`, `c`; the functions are those of headers/vector.h and headers/elementary.h.
"""

from collections.abc import Callable
from typing import Any, NamedTuple


class Operation(NamedTuple):
    """A pointwise operation."""

    code: str
    """Its C++ expression."""

    vjp: Callable[..., tuple[Any, ...]] | None
    """Gives the gradient of each operand (None: none) from the gradient, the result and the operands."""

    heavy: bool = False
    """Whether it costs much more than an addition."""


def _none(g: Any, y: Any, *operands: Any) -> tuple[None, ...]:
    return (None,) * len(operands)


def _of_the_chosen(g: Any, a: Any, b: Any, a_loses: Any, b_loses: Any) -> tuple[Any, Any]:
    """Give the gradient to the operand that was chosen, halves to equal ones, all of it to both beside a NaN."""
    half = a.eq(b).where(g * 0.5, g)
    return a_loses.where(0, half), b_loses.where(0, half)


def _recip(a: Any) -> Any:
    """Return 1 / a, and 0 for 0, as torch's derivative of the angle at the origin."""
    zero = a.eq(0)
    return zero.where(0, 1 / zero.where(1, a))


# g the gradient, y the result, a b c the operands; nodes know + - * / and compare by .gt and the like.
OPERATIONS: dict[str, Operation] = {
    "neg": Operation("-a", lambda g, y, a: (-g,)),
    "add": Operation("a + b", lambda g, y, a, b: (g, g)),
    "sub": Operation("a - b", lambda g, y, a, b: (g, -g)),
    "mul": Operation("a * b", lambda g, y, a, b: (g * b, g * a)),
    "div": Operation("a / b", lambda g, y, a, b: (g / b, -(g / b) * y), heavy=True),
    "sigmoid": Operation("vsigmoid(a)", lambda g, y, a: (g * y * (1 - y),), heavy=True),
    "tanh": Operation("vtanh(a)", lambda g, y, a: (g * (1 - y * y),), heavy=True),
    "exp": Operation("vexp(a)", lambda g, y, a: (g * y,), heavy=True),
    "expm1": Operation("vexpm1(a)", lambda g, y, a: (g * (y + 1),), heavy=True),
    "exp2": Operation("vexp2(a)", lambda g, y, a: (g * y * 0.6931471805599453,), heavy=True),
    "log2": Operation("vlog2(a)", lambda g, y, a: (g / (a * 0.6931471805599453),), heavy=True),
    "log10": Operation("vlog10(a)", lambda g, y, a: (g / (a * 2.302585092994046),), heavy=True),
    "log": Operation("vlog(a)", lambda g, y, a: (g / a,), heavy=True),
    "log1p": Operation("vlog1p(a)", lambda g, y, a: (g / (a + 1),), heavy=True),
    "sqrt": Operation("vsqrt(a)", lambda g, y, a: (g / (y * 2),), heavy=True),
    "rsqrt": Operation("1 / vsqrt(a)", lambda g, y, a: (g * y * y * y * -0.5,), heavy=True),
    "sin": Operation("vsin(a)", lambda g, y, a: (g * a.cos(),), heavy=True),
    "cos": Operation("vcos(a)", lambda g, y, a: (-(g * a.sin()),), heavy=True),
    "tan": Operation("vtan(a)", lambda g, y, a: (g * (y * y + 1),), heavy=True),
    "asin": Operation("vasin(a)", lambda g, y, a: (g * (1 - a * a).rsqrt(),), heavy=True),
    "acos": Operation("vacos(a)", lambda g, y, a: (-(g * (1 - a * a).rsqrt()),), heavy=True),
    "atan": Operation("vatan(a)", lambda g, y, a: (g / (a * a + 1),), heavy=True),
    "sinh": Operation("vsinh(a)", lambda g, y, a: (g * a.cosh(),), heavy=True),
    "cosh": Operation("vcosh(a)", lambda g, y, a: (g * a.sinh(),), heavy=True),
    "asinh": Operation("vasinh(a)", lambda g, y, a: (g * (a * a + 1).rsqrt(),), heavy=True),
    "acosh": Operation("vacosh(a)", lambda g, y, a: (g * (a * a - 1).rsqrt(),), heavy=True),
    "atanh": Operation("vatanh(a)", lambda g, y, a: (g / (1 - a * a),), heavy=True),
    "erf": Operation("verf(a)", lambda g, y, a: (g * (-(a * a)).exp() * 1.1283791670955126,), heavy=True),
    "erfc": Operation(
        "map1([](real x) -> real { return std::erfc(x); }, a)",
        lambda g, y, a: (g * (-(a * a)).exp() * -1.1283791670955126,),
        heavy=True,
    ),
    "abs": Operation("vabs(a)", lambda g, y, a: (g * a.sign(),)),
    "sign": Operation("truth(a > 0) - truth(a < 0)", _none),
    "floor": Operation("vfloor(a)", _none),
    "ceil": Operation("vceil(a)", _none),
    "trunc": Operation("vtrunc(a)", _none),
    "round": Operation("vround(a)", _none),
    "relu": Operation("select(a <= 0, broadcast(0), a)", lambda g, y, a: (y.le(0).where(0, g),)),
    "maximum": Operation("vmax(a, b)", lambda g, y, a, b: _of_the_chosen(g, a, b, a.lt(b), b.lt(a))),
    "minimum": Operation("vmin(a, b)", lambda g, y, a, b: _of_the_chosen(g, a, b, a.gt(b), b.gt(a))),
    "pow": Operation(
        "vpow(a, b)",
        lambda g, y, a, b: (
            b.eq(0).where(0, g * b * a.pow(b - 1)),
            (a.eq(0) * b.ge(0)).where(0, g * y * a.log()),
        ),
        heavy=True,
    ),
    "atan2": Operation(
        "vatan2(a, b)",
        lambda g, y, a, b: (g * (b * _recip(a * a + b * b)), -(g * (a * _recip(a * a + b * b)))),
        heavy=True,
    ),
    "eq": Operation("truth(a == b)", _none),
    "ne": Operation("truth(a != b)", _none),
    "lt": Operation("truth(a < b)", _none),
    "le": Operation("truth(a <= b)", _none),
    "gt": Operation("truth(a > b)", _none),
    "ge": Operation("truth(a >= b)", _none),
    "where": Operation("select(a != 0, b, c)", lambda g, y, a, b, c: (None, a.where(g, 0), a.where(0, g))),
    "stop": Operation("a", _none),
}
