"""Functions of complex numbers: the value by real functions, the gradient by torch's own derivative."""

import math
from collections.abc import Callable
from typing import Any

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.pairs import Parts
from rnnkit_compiler.ir.rules.complex import angle, magnitude, minus, number, over, plus, pointwise, times, turned
from rnnkit_compiler.ir.rules.table import Table

TABLE = Table(cheap=True)

Function = Callable[[Parts], Parts]

MOST_FACTORS = 4
"""Of a power, up to which it is a product."""


def _with_slopes(value: Parts, *pairs: tuple[Parts, Parts]) -> Parts:
    """Return a value whose gradient goes to operands, each times the conjugate of the derivative by it."""
    graph = value.real.graph
    total = number(graph, 0)
    for operand, slope in pairs:
        total = plus(total, times(operand, Parts(*(part.stop() for part in slope))))
    return Parts(*(part.instead(by) for part, by in zip(value, total, strict=True)))


def _enter(name: str, slope: Callable[[Parts, Parts], Parts]) -> Callable[[Function], Function]:
    """Enter a function; its derivative is made of the operand and the result."""

    def enter(function: Function) -> Function:
        def whole(a: Parts, **_: Any) -> Parts:
            value = function(a)
            return _with_slopes(value, (a, slope(a, value)))

        pointwise(name, table=TABLE)(whole)
        return function

    return enter


def _one(a: Parts) -> Parts:
    return number(a.real.graph, 1)


def _square(a: Parts) -> Parts:
    return times(a, a)


def _by(a: Parts, factor: float) -> Parts:
    return Parts(a.real * factor, a.imag * factor)


def _half_turn(a: Parts) -> Parts:
    """Return i times a number."""
    return Parts(-a.imag, a.real)


@_enter("sinh", lambda a, y: _cosh(a))
def _sinh(a: Parts) -> Parts:
    return Parts(a.real.sinh() * a.imag.cos(), a.real.cosh() * a.imag.sin())


@_enter("cosh", lambda a, y: _sinh(a))
def _cosh(a: Parts) -> Parts:
    return Parts(a.real.cosh() * a.imag.cos(), a.real.sinh() * a.imag.sin())


@_enter("sin", lambda a, y: _cos(a))
def _sin(a: Parts) -> Parts:
    return Parts(a.real.sin() * a.imag.cosh(), a.real.cos() * a.imag.sinh())


@_enter("cos", lambda a, y: _by(_sin(a), -1.0))
def _cos(a: Parts) -> Parts:
    return Parts(a.real.cos() * a.imag.cosh(), -(a.real.sin() * a.imag.sinh()))


@_enter("tanh", lambda a, y: minus(_one(y), _square(y)))
def _tanh(a: Parts) -> Parts:
    # of x + iy: (tanh x + i tan y) / (1 + i tanh x tan y)
    x, y = a.real.tanh(), a.imag.tan()
    return over(Parts(x, y), Parts(a.real.graph.number(1), x * y))


@_enter("tan", lambda a, y: plus(_one(y), _square(y)))
def _tan(a: Parts) -> Parts:
    x, y = a.real.tan(), a.imag.tanh()
    return over(Parts(x, y), Parts(a.real.graph.number(1), -(x * y)))


@_enter("sigmoid", lambda a, y: times(y, minus(_one(y), y)))
def _sigmoid(a: Parts) -> Parts:
    # by the exponential that does not overflow
    falls = a.real.lt(0)
    size = turned((-a.real.abs()).exp(), falls.where(a.imag, -a.imag))
    above = Parts(falls.where(size.real, 1), falls.where(size.imag, 0))
    return over(above, plus(_one(a), size))


@_enter("expm1", lambda a, y: plus(y, _one(y)))
def _expm1(a: Parts) -> Parts:
    half = (a.imag * 0.5).sin()
    return Parts(a.real.expm1() * a.imag.cos() - half * half * 2.0, a.real.exp() * a.imag.sin())


def _logarithm(a: Parts) -> Parts:
    return Parts(magnitude(a).log(), angle(a))


@_enter("log1p", lambda a, y: over(_one(a), plus(a, _one(a))))
def _log1p(a: Parts) -> Parts:
    x, y = a
    square = x * (x + 2) + y * y  # of 1 + a, less 1
    near = square.abs().lt(0.5)
    size = near.where(near.where(square, 0).log1p() * 0.5, (x + 1).hypot(y).log())
    return Parts(size, y.atan2(x + 1))


def _enter_logarithm(name: str, base: float) -> None:
    def logarithm(a: Parts) -> Parts:
        return _by(_logarithm(a), 1 / math.log(base))

    _enter(name, lambda a, y: over(_one(a), _by(a, math.log(base))))(logarithm)


_enter_logarithm("log2", 2.0)
_enter_logarithm("log10", 10.0)


@_enter("sqrt", lambda a, y: over(_one(a), _by(y, 2.0)))
def _sqrt(a: Parts) -> Parts:
    # the part that is larger by a root, the other one by the product of the two
    x, y = a
    size = x.hypot(y)
    larger = ((size + x.abs()) * 0.5).sqrt()
    smaller = y.abs() * 0.5 / larger.eq(0).where(1, larger)
    right = x.ge(0)
    return Parts(right.where(larger, smaller), right.where(smaller, larger).copysign(y))


@_enter("rsqrt", lambda a, y: _by(times(y, _square(y)), -0.5))
def _rsqrt(a: Parts) -> Parts:
    return over(_one(a), _sqrt(a))


@pointwise("pow", operands=("self", "exponent"), table=TABLE)
def _pow(a: Parts, b: Parts, **_: Any) -> Parts:
    exponent = _whole(b)
    if exponent is not None and exponent in (1, 2, 3, MOST_FACTORS):
        return _multiplied(a, exponent)
    if exponent is not None and -exponent in (1, 2, 3, MOST_FACTORS):
        return over(_one(a), _multiplied(a, -exponent))
    value = _power(a, b)
    # torch's derivatives: none by the base of a power of 0, none by the exponent of 0
    none = b.real.eq(0) * b.imag.eq(0)
    zero = a.real.eq(0) * a.imag.eq(0)
    by_base = times(b, _power(a, minus(b, _one(b))))
    by_exponent = times(value, _logarithm(a))
    slopes = [(none, by_base), (zero * b.real.ge(0), by_exponent)]
    pairs = [Parts(*(left_out.where(0, part) for part in slope)) for left_out, slope in slopes]
    return _with_slopes(value, (a, pairs[0]), (b, pairs[1]))


def _whole(b: Parts) -> int | None:
    """Return an exponent that is a literal and a whole number."""
    is_literal = b.real.op == "number" and b.imag.attr == (0.0,) and not isinstance(b.real.attr[0], tuple)
    return int(b.real.attr[0]) if is_literal and float(b.real.attr[0]).is_integer() else None


def _multiplied(a: Parts, count: int) -> Parts:
    result = a
    for _k in range(count - 1):
        result = times(result, a)
    return result


def _power(a: Parts, b: Parts) -> Parts:
    """Return exp(b log a), and 1 or 0 for 0."""
    zero: Node = a.real.eq(0) * a.imag.eq(0)
    one = b.real.eq(0) * b.imag.eq(0)
    exponent = times(b, _logarithm(Parts(zero.where(1, a.real), a.imag)))
    real, imag = turned(exponent.real.exp(), exponent.imag)
    real, imag = zero.where(0, real), zero.where(0, imag)
    return Parts(one.where(1, real), one.where(0, imag))
