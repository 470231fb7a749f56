"""Special functions of Triton tensors, in double whatever the numbers are: as those of the C++ backend.

Each sums a series where that has no terms of different signs, or an asymptotic one where that converges faster. Poles
and ends are those of torch's functions of the same name.
"""

import triton
import triton.language as tl

from rnnkit_compiler.backends.triton.functions import exp, log, log1p, with_sign
from rnnkit_compiler.backends.triton.rare_functions import erfc, power, tan


@triton.jit
def lgamma(a):
    """Return the logarithm of |gamma|: Stirling's series from 12 on, the recurrence below, reflection below 1/2."""
    x = a.to(tl.float64)
    left = x < 0.5
    z = tl.where(left, 1.0 - x, x)
    product = 0.0 * z + 1.0
    for _ in range(12):
        product = tl.where(z < 12, product * z, product)
        z = tl.where(z < 12, z + 1.0, z)
    w = 1.0 / (z * z)
    tail = (1.0 / 12 - w * (1.0 / 360 - w * (1.0 / 1260 - w * (1.0 / 1680 - w * (1.0 / 1188))))) / z
    y = (z - 0.5) * log(z) - z + 0.9189385332046727 + tail - log(product)
    part = x - tl.floor(x + 0.5)
    y = tl.where(left, log(3.141592653589793 / tl.abs(tl.sin(3.141592653589793 * part))) - y, y)
    endless = (tl.abs(x) == float("inf")) | ((x <= 0) & (part == 0))
    return tl.where(endless, float("inf"), tl.where(x != x, x, y)).to(a.dtype)


@triton.jit
def digamma(a):
    """Return the derivative of lgamma."""
    x = a.to(tl.float64)
    part = x - tl.floor(x + 0.5)
    usual = tl.where(part == 0, 0.5, part)
    total = tl.where(x < 0, -3.141592653589793 / tan(3.141592653589793 * usual), 0.0 * x)
    z = tl.where(x < 0, 1.0 - x, tl.where(x == 0, 1.0, x))
    for _ in range(12):
        total = tl.where(z < 12, total - 1.0 / z, total)
        z = tl.where(z < 12, z + 1.0, z)
    w = 1.0 / (z * z)
    tail = w * (1.0 / 12 - w * (1.0 / 120 - w * (1.0 / 252 - w * (1.0 / 240 - w * (1.0 / 132)))))
    y = total + log(z) - 0.5 / z - tail
    y = tl.where((x < 0) & (part == 0), float("nan"), y)
    return tl.where(x == 0, with_sign(float("inf") + 0.0 * z, -x), y).to(a.dtype)


@triton.jit
def zeta(a, b):
    """Return Hurwitz's zeta: some terms of the sum, and Euler and Maclaurin's formula for the rest."""
    s, first = tl.broadcast(a.to(tl.float64), b.to(tl.float64))
    whole = tl.floor(first) == first
    wrong = (s < 1) | (s != s) | (first != first) | ((first <= 0) & (tl.floor(s) != s))
    pole = (s == 1) | ((first <= 0) & whole)
    q = tl.where(wrong | pole, 16.0, first)
    total = 0.0 * q
    while tl.max(tl.where(q < 16, 1, 0)) > 0:
        total = tl.where(q < 16, total + power(q, -s), total)
        q = tl.where(q < 16, q + 1.0, q)
    last = power(q, -s)
    usual = tl.where(pole | wrong, 2.0, s)
    rest, term = last * q / (usual - 1.0) + 0.5 * last, last * usual / q
    numbers: tl.constexpr = (12, -720, 30240, -1209600, 47900160, -1892437580.3183792, 74724249600, -2950130727918.164)
    for k in tl.static_range(8):  # (2k + 2)! / B for Bernoulli's number B of 2k + 2
        rest += term / numbers[k]
        term *= (usual + 2 * k + 1) * (usual + 2 * k + 2) / (q * q)
    y = tl.where(wrong, float("nan"), total + rest)
    return tl.where(pole & (s >= 1), float("inf"), y).to(a.dtype)


@triton.jit
def trigamma(a):
    """Return the derivative of digamma, with as few terms as torch takes: nine of the digits are right."""
    x = a.to(tl.float64)
    left = x < 0.5
    sine = tl.sin(3.141592653589793 * x)
    total = tl.where(left, -3.141592653589793 * 3.141592653589793 / (sine * sine), 0.0 * x)
    z = tl.where(left, 1.0 - x, x)
    for _ in range(6):
        total += 1.0 / (z * z)
        z += 1.0
    w = 1.0 / (z * z)
    y = total + (1.0 + 0.5 / z + w * (1.0 / 6 - w * (1.0 / 30 - w * (1.0 / 42)))) / z
    return tl.where(left, -y, y).to(a.dtype)


@triton.jit
def polygamma(a, b):
    """Return derivative n of digamma."""
    n = a.to(tl.float64)
    sign = tl.where(tl.floor(0.5 * n) * 2.0 == n, -1.0, 1.0)
    y = sign * exp(lgamma(n + 1.0)) * zeta(n + 1.0, b.to(tl.float64))
    y = tl.where(n == 0, digamma(b.to(tl.float64)), tl.where(n == 1, trigamma(b.to(tl.float64)), y))
    return y.to(b.dtype)


@triton.jit
def bessel(x, order: tl.constexpr):
    """Return the modified Bessel function of order 0 or 1 times exp(-|x|)."""
    size = tl.abs(x)
    near = tl.where(size < 30, size, 0.0)
    z = 0.25 * near * near
    term, small = 1.0 + 0.0 * z, 1.0 + 0.0 * z
    for k in range(1, 90):
        term *= z / (0.0 * z + k * (k + order))
        small += term
    small *= exp(-near) * (0.5 * near if order == 1 else 1.0)
    far = tl.where(size < 30, 30.0, size)
    term, large = 1.0 + 0.0 * far, 1.0 + 0.0 * far
    for k in range(1, 30):
        odd = 2.0 * k - 1.0
        following = -term * (4.0 * order - odd * odd) / (k * 8.0 * far)
        term = tl.where(tl.abs(term) > 1.1e-16, following, 0.0)
        large += term
    large = tl.where(size == float("inf"), 0.0, large / tl.sqrt(2.0 * 3.141592653589793 * far))
    y = tl.where(size < 30, small, large)
    return tl.where(x != x, x, tl.where((x < 0) & (order == 1), -y, y))


@triton.jit
def i0e(a):
    """Return i0 times exp(-|a|)."""
    return bessel(a.to(tl.float64), 0).to(a.dtype)


@triton.jit
def i1e(a):
    """Return i1 times exp(-|a|)."""
    return bessel(a.to(tl.float64), 1).to(a.dtype)


@triton.jit
def i0(a):
    """Return the modified Bessel function of order 0."""
    x = a.to(tl.float64)
    return (bessel(x, 0) * exp(tl.abs(x))).to(a.dtype)


@triton.jit
def i1(a):
    """Return the modified Bessel function of order 1."""
    x = a.to(tl.float64)
    return (bessel(x, 1) * exp(tl.abs(x))).to(a.dtype)


@triton.jit
def erfcx(a):
    """Return exp(a^2) erfc(a): as it is written where nothing is lost, else a continued fraction from its end."""
    x = a.to(tl.float64)
    near = tl.where(x < 2, tl.where(x < -26.7, -26.7, x), 0.0)
    far = tl.where(x < 2, 2.0, tl.where(x < float("inf"), x, 2.0))
    fraction = 0.0 * far
    for k in range(120):
        fraction = 0.5 * (120 - k) / (far + fraction)
    y = tl.where(x < 2, exp(near * near) * erfc(near), 0.5641895835477563 / (far + fraction))
    y = tl.where(x == float("inf"), 0.0, tl.where(x < -26.7, float("inf"), y))
    return tl.where(x != x, x, y).to(a.dtype)


@triton.jit
def log_ndtr(a):
    """Return the logarithm of the normal distribution's cumulative function."""
    x = a.to(tl.float64)
    t = x * 0.7071067811865476
    left, right = tl.where(x < -1, t, -1.0), tl.where(x < -1, 0.0, t)
    y = tl.where(x < -1, log(0.5 * erfcx(-left)) - left * left, log1p(-0.5 * erfc(right)))
    return tl.where(x != x, x, y).to(a.dtype)


@triton.jit
def lower_ndtri(p):
    """Return where log_ndtr is log p, for 0 < p <= 1/2: Newton's steps on a function that is nearly a parabola."""
    logarithm = log(p)
    t = tl.sqrt(-2.0 * logarithm)
    top, bottom = 2.515517 + t * (0.802853 + t * 0.010328), 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    x = top / bottom - t
    for _ in range(4):
        x -= (log_ndtr(x) - logarithm) * erfcx(-x * 0.7071067811865476) * 1.2533141373155001
    return x


@triton.jit
def ndtri(a):
    """Return the inverse of the normal distribution's cumulative function."""
    p = a.to(tl.float64)
    inside = (p > 0) & (p < 1)
    usual = tl.where(inside, p, 0.5)
    y = lower_ndtri(tl.where(usual <= 0.5, usual, 1.0 - usual))
    y = tl.where(usual <= 0.5, y, -y)
    ends = tl.where(p == 0, -float("inf"), tl.where(p == 1, float("inf"), float("nan")))
    return tl.where(inside, y, ends).to(a.dtype)


@triton.jit
def erfinv(a):
    """Return the inverse of erf; below 1/2 by Newton's steps, where 1 - |a| has lost digits of a."""
    size = tl.abs(a.to(tl.float64))
    inside = size < 1
    large = -0.7071067811865476 * lower_ndtri(0.5 * (1.0 - tl.where(inside, size, 0.0)))
    small = tl.where(size < 0.5, size, 0.0)
    x = 0.886 * small
    for _ in range(6):
        x -= (tl.erf(x) - small) * 0.886226925452758 * exp(x * x)
    y = tl.where(inside, tl.where(size < 0.5, x, large), tl.where(size == 1, float("inf"), float("nan")))
    return with_sign(y, a.to(tl.float64)).to(a.dtype)


@triton.jit
def upper_gamma(a, x):
    """Return the upper incomplete gamma function over gamma, by Lentz's continued fraction; x > a + 1."""
    b = x + 1.0 - a
    c, d = 1e300 + 0.0 * b, 1.0 / b
    h, k, change = d, 0.0, 1.0 + 0.0 * b
    while (tl.max(tl.abs(change)) > 1.1e-16) & (k < 5000.0):
        k += 1.0
        an = -k * (k - a)
        b += 2.0
        d = 1.0 / (an * d + b)
        c = b + an / c
        change = tl.where(tl.abs(change) > 1.1e-16, d * c - 1.0, 0.0)
        h *= 1.0 + change
    return exp(a * log(x) - x - lgamma(a)) * h


@triton.jit
def lower_gamma(a, x):
    """Return the lower one, by its series."""
    term = 1.0 / a
    total, k = term, 0.0
    while (tl.max(term / total) > 1.1e-16) & (k < 5000.0):
        k += 1.0
        term *= x / (a + k)
        total += term
    return total * exp(a * log(x) - x - lgamma(a))


@triton.jit
def incomplete_gamma(a, x, upper_one: tl.constexpr):
    """Return the lower or the upper incomplete gamma function over gamma."""
    a, x = tl.broadcast(a, x)
    wrong = (x < 0) | (a < 0) | (x != x) | (a != a) | ((a == 0) & (x == 0)) | ((a == x) & (a == float("inf")))
    usual = (a > 0) & (x > 0) & (a < float("inf")) & (x < float("inf"))
    shape, at = tl.where(usual, a, 1.0), tl.where(usual, x, 1.0)
    far = at > shape + 1.0
    upper = upper_gamma(tl.where(far, shape, 1.0), tl.where(far, at, 3.0))
    lower = lower_gamma(tl.where(far, 1.0, shape), tl.where(far, 1.0, at))
    below = tl.where(far, 1.0 - upper, lower)
    below = tl.where(usual, below, tl.where((a == 0) | (x == float("inf")), 1.0, 0.0))
    above = tl.where(usual & far, upper, 1.0 - below)
    return tl.where(wrong, float("nan"), above if upper_one else below)


@triton.jit
def igamma(a, b):
    """Return the lower incomplete gamma function over gamma."""
    return incomplete_gamma(a.to(tl.float64), b.to(tl.float64), False).to(b.dtype)


@triton.jit
def igammac(a, b):
    """Return the upper incomplete gamma function over gamma."""
    return incomplete_gamma(a.to(tl.float64), b.to(tl.float64), True).to(b.dtype)


@triton.jit
def nextafter(a, b):
    """Return the number next to a, in the direction of b."""
    bits_type = tl.int64 if a.dtype == tl.float64 else tl.int32
    a, b = tl.broadcast(a, b)
    bits = a.to(bits_type, bitcast=True)
    bits += tl.where((b > a) == (a > 0), 1, -1).to(bits_type)
    y = bits.to(a.dtype, bitcast=True)
    least = tl.full(a.shape, 1, bits_type).to(a.dtype, bitcast=True)
    y = tl.where(a == 0, with_sign(least, b), y)
    return tl.where((a != a) | (b != b), a + b, tl.where(a == b, b, y))
