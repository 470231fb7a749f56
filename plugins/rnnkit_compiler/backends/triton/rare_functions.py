"""Rarer functions of Triton tensors: of angles, hyperbolic ones, powers, made of those in `functions`."""

import triton
import triton.language as tl

from rnnkit_compiler.backends.triton.functions import (
    exp,
    expm1,
    larger,
    log,
    log1p,
    minimum_and_nan,
    smaller,
    with_sign,
)


@triton.jit
def tan(x):
    """Return the tangent."""
    return tl.sin(x) / tl.cos(x)


@triton.jit
def atan_of_a_part(z):
    """Return the arc tangent for 0 <= z <= 1, by its series below tan(pi / 8)."""
    w = tl.where(z > 0.41421356237309503, (z - 1.0) / (z + 1.0), z)
    square = w * w
    p = 0.0 * square
    for k in tl.static_range(22):
        p = 1.0 / (43 - 2 * k) - square * p
    return w * p + tl.where(z > 0.41421356237309503, 0.7853981633974483 + 0.0 * z, 0.0 * z)


@triton.jit
def atan2(a, b):
    """Return the angle of the point (b, a)."""
    up, along = tl.abs(a), tl.abs(b)
    most, least = larger(up, along), smaller(up, along)
    ratio = tl.where(most > 0, tl.where(least == float("inf"), 1.0, least / tl.where(most > 0, most, 1.0)), most)
    angle = atan_of_a_part(ratio.to(a.dtype))
    angle = tl.where(up > along, 1.5707963267948966 - angle, angle)
    angle = tl.where(with_sign(1.0 + 0.0 * along, b) < 0, 3.141592653589793 - angle, angle)
    return with_sign(angle, a)


@triton.jit
def atan(x):
    """Return the arc tangent."""
    return atan2(x, 1.0 + 0.0 * tl.where(tl.abs(x) < float("inf"), x, 0.0).to(x.dtype))


@triton.jit
def asin(x):
    """Return the arc sine."""
    return atan2(x, tl.sqrt((1.0 - x) * (1.0 + x)))


@triton.jit
def acos(x):
    """Return the arc cosine."""
    return 2.0 * atan2(tl.sqrt(1.0 - x), tl.sqrt(1.0 + x))


@triton.jit
def sinh(x):
    """Return the hyperbolic sine."""
    size = tl.abs(x)
    e, h = expm1(minimum_and_nan(size, 21.0)), exp(0.5 * size)
    return with_sign(tl.where(size > 20, 0.5 * h * h, 0.5 * (e + e / (e + 1.0))), x)


@triton.jit
def cosh(x):
    """Return the hyperbolic cosine."""
    size = tl.abs(x)
    e, h = exp(minimum_and_nan(size, 21.0)), exp(0.5 * size)
    return tl.where(size > 20, 0.5 * h * h, 0.5 * (e + 1.0 / e))


@triton.jit
def asinh(x):
    """Return the inverse of sinh."""
    size = tl.abs(x)
    bounded = minimum_and_nan(size, 1e9)
    square = bounded * bounded
    y = log1p(bounded + square / (1.0 + tl.sqrt(square + 1.0)))
    return with_sign(tl.where(size > 1e9, log(size) + 0.6931471805599453, y), x)


@triton.jit
def acosh(x):
    """Return the inverse of cosh."""
    more = minimum_and_nan(x, 1e9) - 1.0
    y = tl.where(x > 1e9, log(x) + 0.6931471805599453, log1p(more + tl.sqrt(more * (more + 2.0))))
    return tl.where(x < 1, float("nan"), y).to(x.dtype)


@triton.jit
def atanh(x):
    """Return the inverse of tanh."""
    size = tl.abs(x)
    return with_sign(0.5 * log1p(2.0 * size / (1.0 - size)), x)


@triton.jit
def erfc(x):
    """Return 1 - erf(x); beyond 2 by a continued fraction, from its end."""
    far = tl.where(x > 2, minimum_and_nan(x, 30.0), 2.0).to(x.dtype)
    fraction = 0.0 * far
    for k in range(120):
        fraction = 0.5 * (120 - k) / (far + fraction)
    tail = exp(-far * far) / (1.7724538509055159 * (far + fraction))
    return tl.where(x > 2, tail, 1.0 - tl.erf(x))


@triton.jit
def power(a, b):
    """Return a to the power b."""
    base, by = a.to(tl.float64), b.to(tl.float64)
    size = exp(by * log(tl.abs(base)))
    whole = tl.floor(by) == by
    odd = whole & (tl.floor(0.5 * by) * 2.0 != by)
    signed = tl.where(base < 0, tl.where(whole, tl.where(odd, -size, size), float("nan")), size)
    signed = tl.where(base == 0, tl.where(by > 0, 0.0, float("inf")), signed)
    signed = tl.where((by != by) | (base != base), by + base, signed)
    return tl.where((by == 0) | (base == 1), 1.0, signed).to(a.dtype)


@triton.jit
def hypot(a, b):
    """Return the length of the vector (a, b)."""
    most, least = larger(tl.abs(a), tl.abs(b)), smaller(tl.abs(a), tl.abs(b))
    usual = (most > 0) & (most < float("inf"))
    ratio = tl.where(usual, least, 0.0).to(a.dtype) / tl.where(usual, most, 1.0).to(a.dtype)
    return most * tl.sqrt(1.0 + ratio * ratio)


@triton.jit
def sign(x):
    """Return 1, 0 or -1."""
    return (x > 0).to(x.dtype) - (x < 0).to(x.dtype)
