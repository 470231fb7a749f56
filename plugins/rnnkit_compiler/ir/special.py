"""The special functions among the pointwise operations: `ir/operations.py` has them in its table."""

import math
from collections.abc import Callable
from typing import Any

EPSILON = 2.220446049250313e-16
"""Nearer to zero than that, torch takes the limit of a quotient."""


def _quotient(a: Any, of: Callable[[Any], Any]) -> Any:
    """Return a quotient by `a`, and its limit 1/2 at zero."""
    far = a.abs().gt(EPSILON)
    return far.where(of(far.where(a, 1)), 0.5)


VJPS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "lgamma": lambda g, y, a: (g * a.digamma(),),
    "digamma": lambda g, y, a: (g * a.graph.number(1).polygamma(a),),
    "polygamma": lambda g, y, n, a: (None, g * (n + 1).polygamma(a)),
    "zeta": lambda g, y, s, q: (None, -(g * s * (s + 1).zeta(q))),
    "erfinv": lambda g, y, a: (g * (y * y).exp() * (math.sqrt(math.pi) / 2),),
    "erfcx": lambda g, y, a: (g * (a * y * 2 - 2 / math.sqrt(math.pi)),),
    "ndtri": lambda g, y, a: (g * (y * y * 0.5).exp() * math.sqrt(2 * math.pi),),
    "log_ndtr": lambda g, y, a: (g * (a * a * -0.5 - y).exp() / math.sqrt(2 * math.pi),),
    "i0": lambda g, y, a: (g * a.i1(),),
    "i0e": lambda g, y, a: (g * (a.i1e() - a.sign() * y),),
    "i1": lambda g, y, a: (g * _quotient(a, lambda x: a.i0() - y / x),),
    "i1e": lambda g, y, a: (g * _quotient(a, lambda x: a.i0e() - y * (a.sign() + 1 / x)),),
    "igamma": lambda g, y, a, x: (None, g * ((a - 1) * x.log() - x - a.lgamma()).exp()),
    "igammac": lambda g, y, a, x: (None, -(g * ((a - 1) * x.log() - x - a.lgamma()).exp())),
}
"""From the gradient, the result and the operands of each to the gradient of each operand (None: none)."""
