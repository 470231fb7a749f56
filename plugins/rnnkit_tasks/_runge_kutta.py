"""The classical Runge-Kutta method of order 4, for a few numbers.

Source: Kutta, "Beitrag zur näherungsweisen Integration totaler Differentialgleichungen", Zeitschrift für Mathematik und
Physik 46, 1901.
"""

from collections.abc import Callable
from typing import TypeAlias

Point: TypeAlias = tuple[float, ...]
"""Plain numbers: for three of them they are ten times faster than arrays."""


def runge_kutta(slope: Callable[[float, Point], Point], point: Point, step: float) -> Point:
    """Return the point `step` later, for x' = slope(s, x), where s is the time since the beginning of the step."""
    first = slope(0.0, point)
    second = slope(step / 2, _moved(point, step / 2, first))
    third = slope(step / 2, _moved(point, step / 2, second))
    fourth = slope(step, _moved(point, step, third))
    slopes = zip(point, first, second, third, fourth, strict=True)
    return tuple([x + step / 6 * (a + 2 * b + 2 * c + d) for x, a, b, c, d in slopes])


def _moved(point: Point, step: float, slopes: Point) -> Point:
    return tuple([x + step * slope for x, slope in zip(point, slopes, strict=True)])
