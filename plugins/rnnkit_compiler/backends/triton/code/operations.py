"""Every pointwise operation of the ir in Triton.

The operands are tensors named `a`, `b`, `c`; the functions are those of `functions.py`, `rare_functions.py` and
`special_functions.py`. Truth is a number: `REAL` makes 1 or 0 of a comparison, and `where` asks whether its first
operand is 0.
"""

import re
from collections.abc import Sequence

OF_ONE = ("lgamma", "digamma", "erfinv", "erfcx", "ndtri", "log_ndtr", "i0", "i0e", "i1", "i1e")
OF_TWO = ("polygamma", "zeta", "igamma", "igammac")
"""Special functions, which Triton's files call as the operations are called."""

CODE = {
    "neg": "-a",
    "add": "a + b",
    "sub": "a - b",
    "mul": "a * b",
    "div": "a / b",
    "sigmoid": "sigmoid(a)",
    "tanh": "tanh(a)",
    "exp": "exp(a)",
    "expm1": "expm1(a)",
    "exp2": "exp(a * 0.6931471805599453)",
    "log2": "log(a) * 1.4426950408889634",
    "log10": "log(a) * 0.4342944819032518",
    "log": "log(a)",
    "log1p": "log1p(a)",
    "sqrt": "tl.sqrt(a)",
    "rsqrt": "1.0 / tl.sqrt(a)",
    "sin": "tl.sin(a)",
    "cos": "tl.cos(a)",
    "tan": "tan(a)",
    "asin": "asin(a)",
    "acos": "acos(a)",
    "atan": "atan(a)",
    "sinh": "sinh(a)",
    "cosh": "cosh(a)",
    "asinh": "asinh(a)",
    "acosh": "acosh(a)",
    "atanh": "atanh(a)",
    "erf": "tl.erf(a)",
    "erfc": "erfc(a)",
    "abs": "tl.abs(a)",
    "sign": "sign(a)",
    "floor": "tl.floor(a)",
    "ceil": "tl.ceil(a)",
    "trunc": "trunc(a)",
    "round": "round_to_even(a)",
    "relu": "tl.where(a <= 0, 0.0, a)",
    "maximum": "larger(a, b)",
    "minimum": "smaller(a, b)",
    "pow": "power(a, b)",
    "atan2": "atan2(a, b)",
    "eq": "(a == b).to(REAL)",
    "ne": "(a != b).to(REAL)",
    "lt": "(a < b).to(REAL)",
    "le": "(a <= b).to(REAL)",
    "gt": "(a > b).to(REAL)",
    "ge": "(a >= b).to(REAL)",
    "where": "tl.where(a != 0, b, c)",
    "stop": "a",
    "instead": "a",
    "remainder": "remainder(a, b)",
    "fmod": "fmod(a, b)",
    "floordiv": "floordiv(a, b)",
    "hypot": "hypot(a, b)",
    "copysign": "with_sign(a, b)",
    "fmax": "tl.where(a != a, b, tl.where(b > a, b, a))",
    "fmin": "tl.where(a != a, b, tl.where(b < a, b, a))",
    "nextafter": "nextafter(a, b)",
    **{name: f"{name}(a)" for name in OF_ONE},
    **{name: f"{name}(a, b)" for name in OF_TWO},
}
"""By the name of the operation."""

INFIX = ("add", "sub", "mul", "div")
"""Of these, what takes a number as it is written; the others are given a tensor, which has the right dtype."""


COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
"""In low precision these compare what is rounded to it, as torch does: what is kept is so, and equals what it was."""


def expression(op: str, operands: Sequence[str], low: str = "") -> str:
    """Write a pointwise operation of operands of these names.

    Args:
        op: names it.
        operands: one for each of `a`, `b` and `c`.
        low: Triton's name of the dtype that numbers are kept in, where that is not the one they are computed in.
    """
    if op == "expand":
        return operands[0]
    given = [f"{operand}.to({low}).to(REAL)" for operand in operands] if low and op in COMPARISONS else operands
    return re.sub(r"\b[abc]\b", lambda found: given["abc".index(found[0])], CODE[op])
