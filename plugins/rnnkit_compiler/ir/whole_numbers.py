"""Whole numbers in a graph of real ones: exact as long as they are small, which is proven of every step.

Each tensor of integers has a bound: a multiple of the largest integer that the call is given or the steps have carried
on, and a number. So one that counts grows by a number that is known, and how far a call of so many steps can get is
known before it runs.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

import torch

from rnnkit_compiler.ir.bits import AND, BITS, LEFT, RIGHT
from rnnkit_compiler.ir.constants import Constants
from rnnkit_compiler.ir.intervals import BOUNDARIES, Interval, place_count, place_of
from rnnkit_compiler.ir.kept_states import kept
from rnnkit_compiler.ir.values import MOVES, VIEWS, NotLowerable
from rnnkit_compiler.trace.recording import Call, Recording, Ref

INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)

SAME = frozenset(
    (
        *MOVES,
        *VIEWS,
        *("cat", "stack"),
        *("where", "maximum", "minimum", "clamp", "clamp_min", "clamp_max", "masked_fill", "neg", "abs", "_to_copy"),
        *("fill", "zero", "zeros_like", "new_zeros", "zeros", "ones_like", "new_ones", "ones", "full_like", "new_full"),
        *("full", "amax", "amin", "max", "min", "sort", "topk", "kthvalue", "median"),
    )
)
"""Operations whose results are no larger than the largest of what they read."""


SUMS = ("add", "sub", "rsub")

SMALL = 2**8
"""Up to which integers are exact in every dtype."""


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

    settled: float
    """How large one that is not carried on may be, at any step."""

    limit: float
    """The largest integer that each of their dtypes has."""

    most: Bound
    """Of all that is computed on the way."""

    divisors: list[int]
    """The numbers of tensors that integers are divided by, none of which may be 0."""

    states: dict[int, Interval]
    """Where the integers of the state have to begin so that all indices are in range; by the place of the state."""

    finite: list[int]
    """The numbers of invariants whose rows are chosen by a product, in which no infinity may stand."""

    def largest(self, given: float, steps: int) -> float:
        """Return the largest integer of a call."""
        return self.most.carried * (max(given, self.settled) + steps * self.each_step) + self.most.plus


class WholeNumbers:
    """The bounds of a recording's integers."""

    def __init__(self, recording: Recording) -> None:
        self._recording, self._dtypes = recording, recording.dtypes
        self._bounds: dict[int, Bound] = {}
        self._literals = Constants(replace(recording, tables={}))  # without what a buffer has in it for now
        self.divisors: list[int] = []
        """Tensors that integers are divided by, none of which may be 0."""
        self._indices: list[tuple[str, int, Interval]] = []
        """What units are chosen by, and where it must lie, after the name of the operation."""
        self.unproven: list[tuple[str, int, Interval]] = []
        """Those that may lie elsewhere, as far as the step tells."""

        self.finite: list[int] = []
        """Invariants whose rows are chosen by a product, where an infinity would reach the other rows."""

    def index(self, call: Call, number: int, allowed: Interval) -> None:
        """Note that a call takes units by a tensor of integers, which must lie in an interval."""
        self._indices.append((call.base_name, number, allowed))

    def of(self, argument: Any) -> Bound:
        """Return the bound of an argument: a number, or a tensor of integers or booleans."""
        if not isinstance(argument, Ref):
            return Bound(0, abs(float(argument)))
        if self._dtypes[argument.number] == torch.bool:
            return Bound(0, 1)
        if self._dtypes[argument.number] not in INTEGERS:
            return UNKNOWN
        literal = self._literals.of(argument.number)
        if literal is not None and literal.numel():
            return Bound(0, float(literal.double().abs().max()))
        return self._bounds.get(argument.number, GIVEN)

    def note(self, call: Call, made: Iterable[int | None]) -> None:
        """Find the bounds of the results of a call that somebody may read.

        Raises:
            NotLowerable: none is known.
        """
        for number in made:
            if number is not None and self._dtypes[number] in INTEGERS:
                is_place = number == place_of(call)
                count = place_count(self._recording, call) if is_place else 0
                self._bounds[number] = Bound(0, count - 1) if is_place else self._bound_of(call)

    def _bound_of(self, call: Call) -> Bound:
        given = call.arguments
        name, numbers = call.base_name, numbers_of(given)
        if self._dtypes[call.output] == torch.uint8 and self._may_be_negative(call):
            raise NotLowerable(f"{call.name} of torch.uint8, which begins again at 255, has no counterpart")
        if name == "clamp" and _limits(given):
            return largest([self.of(limit) for limit in _limits(given)])
        if name in SAME:
            return largest([self.of(value) for value in numbers])
        first, second = (self.of(given[word]) if word in given else UNKNOWN for word in ("self", "other"))
        if name in ("sum", "cumsum", "count_nonzero"):
            first = Bound(0, 1) if name == "count_nonzero" else first
            return first.times(self._count(given["self"]))
        if name in ("remainder", "fmod") or (name == "div" and given["rounding_mode"]) or name == "floor_divide":
            self._divide(call, given["other"])
            return second if name == "remainder" else first
        if name in BOUNDARIES:
            return Bound(0, prod(self._recording.shapes[given[BOUNDARIES[name]].number]))
        if name in (*SUMS, "mul", *BITS) and math.inf in (first.plus, second.plus):
            raise NotLowerable(
                f"{call.name} of integers that may be of any size has no counterpart; clamp what was a real number "
                "once it is an integer"
            )
        if name in SUMS:
            return first + second.times(abs(given["alpha"]))
        if name in BITS:
            return _bound_of_bits(name, first, given["other"])
        if name in ("sign", "sgn", "heaviside"):
            return largest([Bound(0, 1), self.of(given.get("values", 0))])
        if name in ("pow", "prod", "cumprod"):
            return self._power(call, first)
        if name == "mul" and 0 in (first.carried, second.carried):
            return second.times(first.plus) if not first.carried else first.times(second.plus)
        raise NotLowerable(f"{call.name} of integers has no counterpart")

    def _power(self, call: Call, base: Bound) -> Bound:
        """Return the bound of a product of as many numbers as each row has at most, or as the exponent says."""
        given = call.arguments
        count = given["exponent"] if call.base_name == "pow" else self._count(given["self"])
        if isinstance(count, Ref) or count < 0 or base.carried or base.plus == math.inf:
            raise NotLowerable(f"{call.name} of integers that may be of any size has no counterpart")
        return Bound(0, max(1.0, base.plus) ** count)

    def _count(self, tensor: Ref) -> int:
        """Return how many numbers each row has."""
        return prod(size for size in self._recording.shapes[tensor.number] if size % self._recording.rows)

    def _may_be_negative(self, call: Call) -> bool:
        """Tell whether the result would be below 0 in a dtype that has such numbers."""
        if call.base_name == "_to_copy":
            return self._dtypes[call.reads[0]] not in (torch.bool, torch.uint8)
        return call.base_name in ("sub", "rsub", "neg") or (call.arguments.get("alpha") or 1) < 0

    def _divide(self, call: Call, divisor: Any) -> None:
        if isinstance(divisor, Ref) and divisor.number not in self._bounds:
            self.divisors.append(divisor.number)
        elif isinstance(divisor, Ref) or not divisor:
            raise NotLowerable(f"{call.name} divides integers by what may be 0")

    def growth(self, results: list[tuple[int, int]]) -> Growth | None:
        """Return how the integers grow, from pairs of a state before and after the step; None: there are none.

        Raises:
            NotLowerable: a state may become any integer.
        """
        each_step = settled = 0.0
        for before, after in results:
            if self._dtypes[before] in INTEGERS:
                bound = self.of(Ref(after))
                if bound.carried > 1 or bound.plus == math.inf:
                    raise NotLowerable("a state of integers may become as large as it likes")
                if bound.carried:
                    each_step = max(each_step, bound.plus)
                else:
                    settled = max(settled, bound.plus)
        known = [bound for bound in self._bounds.values() if bound.plus < math.inf]
        states, most = self._kept(results), largest(known)
        carried = any(self._dtypes[before] in INTEGERS for before, _ in results)
        if not (carried or self.divisors or most.carried or self.finite) and most.plus <= SMALL:
            return None
        return Growth(each_step, settled, self._limit(), largest([GIVEN, most]), self.divisors, states, self.finite)

    def _limit(self) -> float:
        """Return the largest integer that each of the dtypes has."""
        return min(float(torch.iinfo(dtype).max) for dtype in INTEGERS if dtype in self._dtypes)

    def _kept(self, results: list[tuple[int, int]]) -> dict[int, Interval]:
        """Return where integers of the state have to begin, by place, and note which indices need more than that."""
        if not self._indices:
            return {}
        states, intervals = kept(self._recording, results)
        self.unproven = [index for index in self._indices if not intervals.of(Ref(index[1])).is_within(index[2])]
        places = {before: place for place, (before, _) in enumerate(results)}
        return {places[before]: interval for before, interval in states.items()}


def largest(bounds: Iterable[Bound]) -> Bound:
    """Return a bound of all."""
    listed = [*bounds, Bound(0, 0)]
    return Bound(max(bound.carried for bound in listed), max(bound.plus for bound in listed))


def _bound_of_bits(name: str, bound: Bound, other: Any) -> Bound:
    """Return the bound of an operation on the bits of integers and a literal."""
    if isinstance(other, Ref):
        raise NotLowerable(f"{name} of two tensors of integers has no counterpart")
    kind = BITS[name]
    if kind in (LEFT, RIGHT):
        return bound.times(2.0**other) if kind == LEFT else bound
    return Bound(0, other) if kind == AND and other >= 0 else bound + Bound(0, abs(other))


def _limits(given: Mapping[str, Any]) -> list[Any]:
    """Return what a number is clamped to, on both sides; nothing if it is on one side alone, or by tensors."""
    limits = [given.get("min"), given.get("max")]
    return [] if any(limit is None or isinstance(limit, Ref) for limit in limits) else limits


def numbers_of(given: Mapping[str, Any]) -> list[Any]:
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
