"""Whole numbers in a graph of real ones: exact as long as they are small, which is proven of every step.

Each tensor of integers has a bound: a multiple of the largest integer that the call is given or the steps have carried
on, and a number. So one that counts grows by a number that is known, and how far a call of so many steps can get is
known before it runs.
"""

import math
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, NamedTuple

import torch

from rnnkit_compiler.ir.values import MOVES, NotLowerable
from rnnkit_compiler.trace.recording import Call, Recording, Ref

INTEGERS = (torch.int64, torch.int32)

SAME = frozenset(
    (
        *MOVES,
        *("alias", "clone", "detach", "_reshape_alias", "view", "_unsafe_view", "expand", "unsqueeze", "squeeze", "t"),
        *(
            "transpose",
            "permute",
            "split",
            "split_with_sizes",
            "unsafe_split",
            "slice",
            "select",
            "unbind",
            "cat",
            "stack",
        ),
        *("where", "maximum", "minimum", "clamp", "clamp_min", "clamp_max", "masked_fill", "neg", "abs", "_to_copy"),
        *("fill", "zero", "zeros_like", "new_zeros", "zeros", "ones_like", "new_ones", "ones", "full_like", "new_full"),
        *("full", "amax", "amin", "max", "min"),
    )
)
"""Operations whose results are no larger than the largest of what they read."""


class Bound(NamedTuple):
    """No tensor element is larger than `carried` times the largest integer carried on, plus `plus`."""

    carried: float
    plus: float

    def __add__(self, other: "Bound") -> "Bound":  # type: ignore[override]
        return Bound(self.carried + other.carried, self.plus + other.plus)

    def times(self, factor: float) -> "Bound":
        """Multiply by a number."""
        return Bound(self.carried * factor, self.plus * factor)


GIVEN = Bound(1, 0)
UNKNOWN = Bound(0, math.inf)
"""Of an integer that was a real number."""


class Growth(NamedTuple):
    """How large the integers of a step may become."""

    each_step: float
    """By how much the largest that is carried on may grow."""

    most: Bound
    """Of all that is computed on the way."""

    divisors: list[int]
    """The numbers of tensors that integers are divided by, none of which may be 0."""

    def largest(self, given: float, steps: int) -> float:
        """Return the largest integer of a call."""
        return self.most.carried * (given + steps * self.each_step) + self.most.plus


class WholeNumbers:
    """The bounds of a recording's integers."""

    def __init__(self, recording: Recording) -> None:
        self._recording, self._dtypes = recording, recording.dtypes
        self._bounds: dict[int, Bound] = {}
        self.divisors: list[int] = []
        """Tensors that integers are divided by, none of which may be 0."""

    def of(self, argument: Any) -> Bound:
        """Return the bound of an argument: a number, or a tensor of integers or booleans."""
        if not isinstance(argument, Ref):
            return Bound(0, abs(float(argument)))
        if self._dtypes[argument.number] == torch.bool:
            return Bound(0, 1)
        if self._dtypes[argument.number] not in INTEGERS:
            return UNKNOWN
        return self._bounds.get(argument.number, GIVEN)

    def note(self, call: Call, made: Iterable[int | None]) -> None:
        """Find the bounds of the results of a call that somebody may read.

        Raises:
            NotLowerable: none is known.
        """
        for number in made:
            if number is not None and self._dtypes[number] in INTEGERS:
                self._bounds[number] = self._bound_of(call)

    def _bound_of(self, call: Call) -> Bound:
        given = call.arguments
        name, numbers = call.base_name, _numbers(given)
        if name in SAME:
            return largest([self.of(value) for value in numbers])
        first, second = (self.of(given[word]) if word in given else UNKNOWN for word in ("self", "other"))
        if name in ("sum", "cumsum"):
            shape = self._recording.shapes[given["self"].number]
            return first.times(prod(size for size in shape if size % self._recording.rows))
        if name in ("remainder", "fmod") or (name == "div" and given["rounding_mode"]) or name == "floor_divide":
            self._divide(call, given["other"])
            return second if name == "remainder" else first
        if math.inf in (first.plus, second.plus):
            raise NotLowerable(f"{call.name} of integers that may be of any size has no counterpart")
        if name in ("add", "sub", "rsub"):
            return first + second.times(abs(given["alpha"]))
        if name == "mul" and 0 in (first.carried, second.carried):
            return second.times(first.plus) if not first.carried else first.times(second.plus)
        raise NotLowerable(f"{call.name} of integers has no counterpart")

    def _divide(self, call: Call, divisor: Any) -> None:
        if isinstance(divisor, Ref) and divisor.number not in self._bounds:
            self.divisors.append(divisor.number)
        elif isinstance(divisor, Ref) or not divisor:
            raise NotLowerable(f"{call.name} divides integers by what may be 0")

    def growth(self, results: Iterable[tuple[int, int]]) -> Growth | None:
        """Return how the integers grow, from pairs of a state before and after the step; None: there are none.

        Raises:
            NotLowerable: a state may become any integer.
        """
        each_step = 0.0
        for before, after in results:
            if self._dtypes[before] in INTEGERS:
                bound = self.of(Ref(after))
                if bound.carried > 1 or bound.plus == math.inf:
                    raise NotLowerable("a state of integers may become as large as it likes")
                each_step = max(each_step, bound.plus)
        known = [bound for bound in self._bounds.values() if bound.plus < math.inf]
        return Growth(each_step, largest([GIVEN, *known]), self.divisors) if self._bounds else None


def largest(bounds: Iterable[Bound]) -> Bound:
    """Return a bound of all."""
    listed = [*bounds, Bound(0, 0)]
    return Bound(max(bound.carried for bound in listed), max(bound.plus for bound in listed))


def _numbers(given: Mapping[str, Any]) -> list[Any]:
    """Return the tensors and numbers that an operation reads, but for what says where."""
    words = ("self", "other", "min", "max", "value", "values", "src", "source", "tensors", "fill_value", "input")
    found: list[Any] = []
    for word in words:
        value = given.get(word)
        if isinstance(value, list | tuple) and not isinstance(value, Ref):
            found += value
        elif value is not None:
            found.append(value)
    return found
