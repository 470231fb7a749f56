"""The equation of a contraction: which axes each operand and the result have, as numpy's and torch's einsum write it.

In "hik,hkj->hij" the operands have the axes h, i, k and h, k, j, last one fastest, and what the result lacks is summed
over. Equations are kept in a normal form, so that one question has one equation: no axis of a single element, axes that
stand side by side wherever they stand are one, letters in the order in which they come.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise
from math import prod
from typing import NamedTuple

Axes = tuple[int, ...]
"""The axes of a tensor, each by a number of its own; the last one is the fastest."""


class Equation(NamedTuple):
    """The axes of the operands and of the result, and how many elements each axis has."""

    operands: tuple[Axes, ...]
    result: Axes
    sizes: Mapping[int, int]

    @property
    def width(self) -> int:
        """How many elements the result has."""
        return self.count(self.result)

    @property
    def summed(self) -> Axes:
        """What is summed over."""
        return tuple(axis for axis in dict.fromkeys(chain(*self.operands)) if axis not in self.result)

    @property
    def repeated(self) -> Axes:
        """The axes of the result that no operand has: everything is the same along them."""
        return tuple(axis for axis in self.result if not any(axis in axes for axes in self.operands))

    @property
    def is_view(self) -> bool:
        """Whether every element of the result is one of the only operand's: it is put into order or repeated."""
        return len(self.operands) == 1 and not self.summed

    def count(self, axes: Iterable[int]) -> int:
        """Return how many elements axes have together."""
        return prod(self.sizes[axis] for axis in axes)

    def normal(self) -> "Equation":
        """Return it without axes of one element, and with axes that always stand side by side as one."""
        tensors = [tuple(axis for axis in axes if self.sizes[axis] > 1) for axes in (*self.operands, self.result)]
        sizes = dict(self.sizes)
        followers = _inseparable(tensors)
        gone = set(followers.values())
        for first in set(followers) - gone:
            following = followers.get(first)
            while following is not None:
                sizes[first] *= sizes[following]
                following = followers.get(following)
        tensors = [tuple(axis for axis in axes if axis not in gone) for axes in tensors]
        names = {axis: k for k, axis in enumerate(dict.fromkeys(chain(*tensors)))}
        *operands, result = (tuple(names[axis] for axis in axes) for axes in tensors)
        return Equation(tuple(operands), result, {new: sizes[old] for old, new in names.items()})

    def __str__(self) -> str:
        *operands, result = ("".join(map(letter, axes)) for axes in (*self.operands, self.result))
        return f"{','.join(operands)}->{result}"


def letter(axis: int) -> str:
    """Return the letter of an axis."""
    return "abcdefghijklmnopqrstuvwxyz"[axis]


def parse(text: str, sizes: Sequence[int]) -> Equation:
    """Read an equation in normal form; `sizes` in the order of the letters."""
    *operands, result = (tuple(ord(sign) - ord("a") for sign in word) for word in text.replace("->", ",").split(","))
    return Equation(tuple(operands), result, dict(enumerate(sizes)))


def _inseparable(tensors: Sequence[Axes]) -> dict[int, int]:
    """Map each axis to the one that follows it in every tensor that has either, in the order of the axes."""
    following: dict[int, set[int | None]] = {}
    preceding: dict[int, set[int | None]] = {}
    for axes in tensors:
        for k, axis in enumerate(axes):
            following.setdefault(axis, set()).add(axes[k + 1] if k + 1 < len(axes) else None)
            preceding.setdefault(axis, set()).add(axes[k - 1] if k else None)
    pairs = {axis: next(iter(after)) for axis, after in following.items() if len(after) == 1}
    return {axis: after for axis, after in pairs.items() if after is not None and preceding[after] == {axis}}


def refined(one: Sequence[int], other: Sequence[int]) -> list[int] | None:
    """Return sizes of which both lists are products of neighbours; None: there are none.

    (6, 4) and (2, 12) are (2, 3, 4); (2, 3) and (3, 2) cut their elements in different places.
    """
    steps = sorted({*_steps(one), *_steps(other)})
    if any(longer % shorter for shorter, longer in pairwise(steps)):
        return None
    return [longer // shorter for shorter, longer in pairwise(steps)][::-1]


def _steps(sizes: Sequence[int]) -> list[int]:
    """Return how many elements a step along each axis is, and how many there are in all."""
    return [prod(sizes[k:]) for k in range(len(sizes) + 1)]
