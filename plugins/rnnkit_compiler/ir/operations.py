"""The pointwise operations of the intermediate form: what each costs, and its derivative.

Truth is a number: a comparison returns 1 or 0, and `where` asks whether its first operand is 0. Two mean something to
derivatives alone: `stop` lets none pass, and `instead` has the value of its first operand and the derivative of its
second. How they are computed is in a table of each backend.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from rnnkit_compiler.ir.special import VJPS


class Operation(NamedTuple):
    """A pointwise operation."""

    vjp: Callable[..., tuple[Any, ...]]
    """Returns the gradient of each operand (None: none) from the gradient, the result and the operands."""

    heavy: bool = False
    """Whether it costs much more than an addition."""


def _none(g: Any, y: Any, *operands: Any) -> tuple[None, ...]:
    return (None,) * len(operands)


def _of_the_chosen(g: Any, a: Any, b: Any, a_loses: Any, b_loses: Any) -> tuple[Any, Any]:
    """Pass the gradient to the operand that was chosen, halves to equal ones, all of it to both beside a NaN."""
    half = a.eq(b).where(g * 0.5, g)
    return a_loses.where(0, half), b_loses.where(0, half)


def _of_one(g: Any, a_wins: Any, b: Any) -> tuple[Any, Any]:
    """Pass the gradient to one operand: the first one if it wins, or the other is NaN."""
    first = b.ne(b).where(1, a_wins)
    return first.where(g, 0), first.where(0, g)


def _recip(a: Any) -> Any:
    """Return 1 / a, and 0 for 0, as torch's derivative of the angle at the origin."""
    zero = a.eq(0)
    return zero.where(0, 1 / zero.where(1, a))


# g the gradient, y the result, a b c the operands; nodes know + - * / and compare by .gt and the like.
OPERATIONS: dict[str, Operation] = {
    "neg": Operation(lambda g, y, a: (-g,)),
    "add": Operation(lambda g, y, a, b: (g, g)),
    "sub": Operation(lambda g, y, a, b: (g, -g)),
    "mul": Operation(lambda g, y, a, b: (g * b, g * a)),
    "div": Operation(lambda g, y, a, b: (g / b, -(g / b) * y), heavy=True),
    "sigmoid": Operation(lambda g, y, a: (g * y * (1 - y),), heavy=True),
    "tanh": Operation(lambda g, y, a: (g * (1 - y * y),), heavy=True),
    "exp": Operation(lambda g, y, a: (g * y,), heavy=True),
    "expm1": Operation(lambda g, y, a: (g * (y + 1),), heavy=True),
    "exp2": Operation(lambda g, y, a: (g * y * 0.6931471805599453,), heavy=True),
    "log2": Operation(lambda g, y, a: (g / (a * 0.6931471805599453),), heavy=True),
    "log10": Operation(lambda g, y, a: (g / (a * 2.302585092994046),), heavy=True),
    "log": Operation(lambda g, y, a: (g / a,), heavy=True),
    "log1p": Operation(lambda g, y, a: (g / (a + 1),), heavy=True),
    "sqrt": Operation(lambda g, y, a: (g / (y * 2),), heavy=True),
    "rsqrt": Operation(lambda g, y, a: (g * y * y * y * -0.5,), heavy=True),
    "sin": Operation(lambda g, y, a: (g * a.cos(),), heavy=True),
    "cos": Operation(lambda g, y, a: (-(g * a.sin()),), heavy=True),
    "tan": Operation(lambda g, y, a: (g * (y * y + 1),), heavy=True),
    "asin": Operation(lambda g, y, a: (g * (1 - a * a).rsqrt(),), heavy=True),
    "acos": Operation(lambda g, y, a: (-(g * (1 - a * a).rsqrt()),), heavy=True),
    "atan": Operation(lambda g, y, a: (g / (a * a + 1),), heavy=True),
    "sinh": Operation(lambda g, y, a: (g * a.cosh(),), heavy=True),
    "cosh": Operation(lambda g, y, a: (g * a.sinh(),), heavy=True),
    "asinh": Operation(lambda g, y, a: (g * (a * a + 1).rsqrt(),), heavy=True),
    "acosh": Operation(lambda g, y, a: (g * (a * a - 1).rsqrt(),), heavy=True),
    "atanh": Operation(lambda g, y, a: (g / (1 - a * a),), heavy=True),
    "erf": Operation(lambda g, y, a: (g * (-(a * a)).exp() * 1.1283791670955126,), heavy=True),
    "erfc": Operation(lambda g, y, a: (g * (-(a * a)).exp() * -1.1283791670955126,), heavy=True),
    "abs": Operation(lambda g, y, a: (g * a.sign(),)),
    "sign": Operation(_none),
    "floor": Operation(_none),
    "ceil": Operation(_none),
    "trunc": Operation(_none),
    "round": Operation(_none),
    "relu": Operation(lambda g, y, a: (y.le(0).where(0, g),)),
    "maximum": Operation(lambda g, y, a, b: _of_the_chosen(g, a, b, a.lt(b), b.lt(a))),
    "minimum": Operation(lambda g, y, a, b: _of_the_chosen(g, a, b, a.gt(b), b.gt(a))),
    "pow": Operation(
        lambda g, y, a, b: (
            b.eq(0).where(0, g * b * a.pow(b - 1)),
            (a.eq(0) * b.ge(0)).where(0, g * y * a.log()),
        ),
        heavy=True,
    ),
    "atan2": Operation(
        lambda g, y, a, b: (g * (b * _recip(a * a + b * b)), -(g * (a * _recip(a * a + b * b)))),
        heavy=True,
    ),
    "eq": Operation(_none),
    "ne": Operation(_none),
    "lt": Operation(_none),
    "le": Operation(_none),
    "gt": Operation(_none),
    "ge": Operation(_none),
    "where": Operation(lambda g, y, a, b, c: (None, a.where(g, 0), a.where(0, g))),
    "stop": Operation(_none),
    "instead": Operation(lambda g, y, a, b: (None, g)),
    "remainder": Operation(lambda g, y, a, b: (g, -(g * a.floordiv(b))), heavy=True),
    "fmod": Operation(lambda g, y, a, b: (g, -(g * (a / b).trunc())), heavy=True),
    "floordiv": Operation(_none, heavy=True),
    "hypot": Operation(lambda g, y, a, b: (g * (a / y), g * (b / y)), heavy=True),
    "copysign": Operation(lambda g, y, a, b: (g * a.eq(0).where(0, y / a), None)),
    "fmax": Operation(lambda g, y, a, b: _of_one(g, a.ge(b), b)),
    "fmin": Operation(lambda g, y, a, b: _of_one(g, a.le(b), b)),
    "nextafter": Operation(lambda g, y, a, b: (a.ne(b).where(g, 0), None), heavy=True),
    **{name: Operation(vjp, heavy=True) for name, vjp in VJPS.items()},
}
