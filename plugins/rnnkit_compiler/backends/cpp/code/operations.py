"""Every pointwise operation of the ir in C++.

The operands are vectors named `a`, `b`, `c`; the functions are those of headers/vector.h, headers/elementary.h,
headers/special.h and headers/kernel.h. Truth is a number: `truth` makes 1 or 0 of a mask, and `where` asks whether its
first operand is 0.
"""

import re
from collections.abc import Sequence

from rnnkit_compiler.ir.special import VJPS

CODE = {
    "neg": "-a",
    "add": "a + b",
    "sub": "a - b",
    "mul": "a * b",
    "div": "a / b",
    "sigmoid": "vsigmoid(a)",
    "tanh": "vtanh(a)",
    "exp": "vexp(a)",
    "expm1": "vexpm1(a)",
    "exp2": "vexp2(a)",
    "log2": "vlog2(a)",
    "log10": "vlog10(a)",
    "log": "vlog(a)",
    "log1p": "vlog1p(a)",
    "sqrt": "vsqrt(a)",
    "rsqrt": "1 / vsqrt(a)",
    "sin": "vsin(a)",
    "cos": "vcos(a)",
    "tan": "vtan(a)",
    "asin": "vasin(a)",
    "acos": "vacos(a)",
    "atan": "vatan(a)",
    "sinh": "vsinh(a)",
    "cosh": "vcosh(a)",
    "asinh": "vasinh(a)",
    "acosh": "vacosh(a)",
    "atanh": "vatanh(a)",
    "erf": "verf(a)",
    "erfc": "verfc(a)",
    "abs": "vabs(a)",
    "sign": "truth(a > 0) - truth(a < 0)",
    "floor": "vfloor(a)",
    "ceil": "vceil(a)",
    "trunc": "vtrunc(a)",
    "round": "vround(a)",
    "relu": "select(a <= 0, broadcast(0), a)",
    "maximum": "vmax(a, b)",
    "minimum": "vmin(a, b)",
    "pow": "vpow(a, b)",
    "atan2": "vatan2(a, b)",
    "eq": "truth(a == b)",
    "ne": "truth(a != b)",
    "lt": "truth(a < b)",
    "le": "truth(a <= b)",
    "gt": "truth(a > b)",
    "ge": "truth(a >= b)",
    "where": "select(a != 0, b, c)",
    "stop": "a",
    "instead": "a",
    "remainder": "vremainder(a, b)",
    "fmod": "vfmod(a, b)",
    "floordiv": "vfloordiv(a, b)",
    "hypot": "vhypot(a, b)",
    "copysign": "vcopysign(a, b)",
    "fmax": "select(a != a, b, larger_or_second(b, a))",
    "fmin": "select(a != a, b, smaller_or_second(b, a))",
    "nextafter": "vnextafter(a, b)",
    **{name: f"v{name}(a)" for name in VJPS},
    **{name: f"v{name}(a, b)" for name in ("polygamma", "zeta", "igamma", "igammac")},
}
"""By the name of the operation."""


OPERAND = re.compile(r"(?<![\w:])[abc](?![\w:])")
"""A word of code that stands for an operand."""


def expression(op: str, operands: Sequence[str]) -> str:
    """Write a pointwise operation of operands of these names."""
    if op == "expand":
        return operands[0]
    return OPERAND.sub(lambda found: operands["abc".index(found[0])], CODE[op])
