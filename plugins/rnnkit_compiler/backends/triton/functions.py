"""Elementary functions of Triton tensors of float32 or float64, which keep their digits near zero.

    exp x     = 2^n (1 + p),  x = n ln 2 + r,  p = exp r - 1 by a polynomial
    expm1 x   = 2^n p + (2^n - 1)
    tanh |x|  = e / (e + 2),  e = expm1(2 |x|)
    sigmoid x = y / (1 + y) below zero, 1 / (1 + y) above,  y = exp(-|x|)
    log x     = e ln 2 + log m,  x = 2^e m with m between sqrt(1/2) and sqrt(2)
    log1p x   = log(u) x / (u - 1),  u = 1 + x rounded (Kahan)

Triton's own go by the hardware's approximate exp2 and log2, whose error grows with the argument, or is large beside a
result near zero. NaN gives NaN, infinities their limits. The polynomials are those of the C++ backend.
"""

import triton
import triton.language as tl


@triton.jit
def minimum_and_nan(x, bound):
    """Return x, at most a bound; a NaN stays."""
    return tl.where(x > bound, bound, x).to(x.dtype)


@triton.jit
def maximum_and_nan(x, bound):
    """Return x, at least a bound; a NaN stays."""
    return tl.where(x < bound, bound, x).to(x.dtype)


@triton.jit
def power_of_two(n):
    """Return 2^n for whole n that are exponents of normal numbers."""
    if n.dtype == tl.float64:
        return ((n.to(tl.int64) + 1023) << 52).to(tl.float64, bitcast=True)
    else:  # noqa: RET505 - else the compiler takes both for returns of one function
        return ((n.to(tl.int32) + 127) << 23).to(tl.float32, bitcast=True)


@triton.jit
def expm1_reduced(r):
    """Return exp(r) - 1 for |r| <= ln 2 / 2."""
    if r.dtype == tl.float64:
        p = r * 2.505113094943612e-08 + 2.7629911006876457e-07
        p = p * r + 2.755727094935142e-06
        p = p * r + 2.480149092304607e-05
        p = p * r + 0.00019841269864002332
        p = p * r + 0.0013888888894160803
        p = p * r + 0.00833333333331917
        p = p * r + 0.041666666666659336
        p = p * r + 0.16666666666666746
        p = p * r + 0.5000000000000006
    else:
        p = r * 0.0013837844133377075 + 0.008367087692022324
        p = p * r + 0.0416677482426166
        p = p * r + 0.16666539013385773
        p = p * r + 0.4999999701976776
    return p * r * r + r


@triton.jit
def exp(x):
    """Return e^x."""
    if x.dtype == tl.float64:
        bounded = tl.where(x == x, minimum_and_nan(maximum_and_nan(x, -746.0), 710.0), 0.0).to(tl.float64)
        n = tl.floor(bounded * 1.4426950408889634 + 0.5)
        r = (bounded - n * 0.6931471803691238) - n * 1.9082149292705877e-10
    else:
        bounded = tl.where(x == x, minimum_and_nan(maximum_and_nan(x, -104.0), 89.0), 0.0).to(tl.float32)
        n = tl.floor(bounded * 1.4426950408889634 + 0.5)
        r = (bounded - n * 0.693145751953125) - n * 1.428606765330187e-06
    half = tl.floor(n * 0.5)
    y = (expm1_reduced(r) + 1.0) * power_of_two(half) * power_of_two(n - half)
    return tl.where(x == x, y, x)


@triton.jit
def expm1(x):
    """Return e^x - 1."""
    if x.dtype == tl.float64:
        bounded = tl.where(x == x, minimum_and_nan(maximum_and_nan(x, -40.0), 710.0), 0.0).to(tl.float64)
        n = tl.floor(bounded * 1.4426950408889634 + 0.5)
        r = (bounded - n * 0.6931471803691238) - n * 1.9082149292705877e-10
        tiny = tl.abs(x) < 1.1102230246251565e-16
    else:
        bounded = tl.where(x == x, minimum_and_nan(maximum_and_nan(x, -20.0), 89.0), 0.0).to(tl.float32)
        n = tl.floor(bounded * 1.4426950408889634 + 0.5)
        r = (bounded - n * 0.693145751953125) - n * 1.428606765330187e-06
        tiny = tl.abs(x) < 5.9604644775390625e-08
    power = power_of_two(n - 1.0)  # half of it, which does not overflow before the result does
    y = (power * expm1_reduced(r) + (power - 0.5)) * 2.0
    return tl.where(tiny | (x != x), x, y)


@triton.jit
def tanh(x):
    """Return the hyperbolic tangent."""
    e = expm1(minimum_and_nan(tl.abs(x) * 2.0, 40.0))
    y = e / (e + 2.0)
    return tl.where(x < 0, -y, tl.where(x == 0, x, y))


@triton.jit
def sigmoid(x):
    """Return 1 / (1 + e^-x)."""
    y = exp(-tl.abs(x))
    return tl.where(x < 0, y, 1.0 + 0.0 * y) / (1.0 + y)


@triton.jit
def log(x):
    """Return the natural logarithm."""
    if x.dtype == tl.float64:
        small = x < 2.2250738585072014e-308
        usual = tl.where((x > 0) & (x < float("inf")), tl.where(small, x * 4503599627370496.0, x), 1.0).to(tl.float64)
        bits = usual.to(tl.int64, bitcast=True)
        exponent = ((bits + (0x3FF0000000000000 - 0x3FE6A09E667F3BCD)) >> 52) - 1023
        m = (bits - (exponent << 52)).to(tl.float64, bitcast=True)
        e = exponent.to(tl.float64) - tl.where(small, 52.0, 0.0)
        f = m - 1.0
        s = f / (f + 2.0)
        z = s * s
        p = z * 0.14798605116586127 + 0.1531383769920937
        p = p * z + 0.1818357216161805
        p = p * z + 0.22222198432149784
        p = p * z + 0.2857142874366239
        p = p * z + 0.3999999999940942
        p = p * z + 0.6666666666666735
        upper, lower = 0.6931471803691238, 1.9082149292705877e-10
    else:
        small = x < 1.1754943508222875e-38
        usual = tl.where((x > 0) & (x < float("inf")), tl.where(small, x * 8388608.0, x), 1.0).to(tl.float32)
        bits = usual.to(tl.int32, bitcast=True)
        exponent = ((bits + (0x3F800000 - 0x3F3504F3)) >> 23) - 127
        m = (bits - (exponent << 23)).to(tl.float32, bitcast=True)
        e = exponent.to(tl.float32) - tl.where(small, 23.0, 0.0)
        f = m - 1.0
        s = f / (f + 2.0)
        z = s * s
        p = z * 0.29870057106018066 + 0.3997469246387482
        p = p * z + 0.6666678786277771
        upper, lower = 0.693145751953125, 1.428606765330187e-06
    half = 0.5 * f * f
    y = e * upper + (f - (half - (s * (half + z * p) + e * lower)))
    beyond = tl.where(x < 0, float("nan"), tl.where(x == 0, -float("inf"), x))
    return tl.where((x > 0) & (x < float("inf")), y, beyond).to(x.dtype)


@triton.jit
def log1p(x):
    """Return log(1 + x)."""
    u = x + 1.0
    differs = (u != 1.0) & (u < float("inf"))
    y = log(u) * (tl.where(differs, x, 1.0).to(x.dtype) / tl.where(differs, u - 1.0, 1.0).to(x.dtype))
    return tl.where(u == 1.0, x, y)


@triton.jit
def with_sign(x, sign):
    """Return |x| with the sign of another number, that of a zero too."""
    bits = tl.int64 if x.dtype == tl.float64 else tl.int32
    return tl.where(sign.to(bits, bitcast=True) < 0, -tl.abs(x), tl.abs(x))


@triton.jit
def larger(a, b):
    """Return the larger of two, NaN where either is."""
    return tl.where((a > b) | (a != a), a, b)


@triton.jit
def smaller(a, b):
    """Return the smaller of two, NaN where either is."""
    return tl.where((a < b) | (a != a), a, b)


@triton.jit
def trunc(x):
    """Round towards zero."""
    return with_sign(tl.floor(tl.abs(x)), x)


@triton.jit
def round_to_even(x):
    """Round to the nearest whole number, halves to the even one."""
    whole = 4503599627370496.0 if x.dtype == tl.float64 else 8388608.0
    size = tl.abs(x)
    return with_sign(tl.where(size < whole, (size + whole) - whole, size), x)


@triton.jit
def fmod(a, b):
    """Return what is left of a by a whole number of times b, with the sign of a."""
    left, by = tl.abs(a).to(tl.float64), tl.abs(b).to(tl.float64)
    usual = (left < float("inf")) & (by > 0) & (by < float("inf"))
    divisor = tl.where(usual, by, 1.0).to(tl.float64)
    rest = tl.where(usual, left, 0.0).to(tl.float64)
    rounds = 42 if a.dtype == tl.float64 else 7
    for _ in range(rounds):  # each takes off what 53 bits of the quotient tell
        rest = tl.abs(tl.fma(-tl.floor(rest / divisor), divisor, rest))
        rest = tl.where(rest >= divisor, rest - divisor, rest)
    rest = tl.where(by == float("inf"), left, rest)
    rest = tl.where((left == float("inf")) | (by == 0) | (left != left) | (by != by), float("nan"), rest)
    return with_sign(rest.to(a.dtype), a)


@triton.jit
def remainder(a, b):
    """Return what is left of a, with the sign of b."""
    left = fmod(a, b)
    return tl.where((left != 0) & ((left < 0) != (b < 0)), left + b, left)


@triton.jit
def floordiv(a, b):
    """Return a / b rounded down."""
    left = fmod(a, b)
    borrowed = (left != 0) & ((left < 0) != (b < 0))
    quotient = (a - left) / b - tl.where(borrowed, 1.0, 0.0).to(a.dtype)
    rounded = tl.floor(quotient + 0.5)
    exact = (b != 0) & (tl.abs(quotient) < float("inf"))
    return tl.where(exact, rounded, a / b)
