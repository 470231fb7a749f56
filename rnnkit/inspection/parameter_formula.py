"""The number of a cell's parameters as a polynomial of D and H, found from counts."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from operator import mul

TERMS = {
    "H^3": (0, 3),
    "DH^2": (1, 2),
    "DH": (1, 1),
    "H^2": (0, 2),
    "D^2": (2, 0),
    "H": (0, 1),
    "D": (1, 0),
    "": (0, 0),
}
"""What the polynomial may be made of, and the exponents of D and H."""

SIZES = ((16, 32), (32, 16), (16, 48), (48, 64), (64, 32), (32, 80), (48, 16), (80, 64), (96, 48), (64, 96))
"""Pairs of D and H at which parameters are counted: two more than there are terms, and D is never H."""


def parameter_formula(count: Callable[[int, int], int]) -> str:
    """Return the number of parameters, such as "2DH + 2H^2 + 4H"; "" if it is no such polynomial where D is not H.

    Args:
        count: from D and H to the number of parameters.
    """
    counts = {size: count(*size) for size in SIZES}
    rows = [[*(Fraction(d**i * h**j) for i, j in TERMS.values()), Fraction(n)] for (d, h), n in counts.items()]
    factors = _solved(rows[: len(TERMS)])
    if factors is None or any(sum(map(mul, row, factors)) != row[-1] for row in rows):
        return ""
    return _written(factors)


def _written(factors: Sequence[Fraction]) -> str:
    text = ""
    for term, factor in zip(TERMS, factors, strict=True):
        if factor:
            sign = "- " if factor < 0 else "+ " if text else ""
            size = abs(factor)
            number = "" if size == 1 and term else f"{size}" if size.denominator == 1 else f"{size} "
            text += f" {sign}{number}{term}"
    return text.strip() or "0"


def _solved(rows: list[list[Fraction]]) -> list[Fraction] | None:
    """Solve linear equations by elimination; None where they do not tell."""
    rows = [list(row) for row in rows]
    for k in range(len(rows)):
        pivot = next((r for r in range(k, len(rows)) if rows[r][k]), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [value / rows[k][k] for value in rows[k]]
        for r in range(len(rows)):
            if r != k:
                rows[r] = [a - rows[r][k] * b for a, b in zip(rows[r], rows[k], strict=True)]
    return [row[-1] for row in rows]
