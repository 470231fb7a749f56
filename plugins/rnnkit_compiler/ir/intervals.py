"""Intervals: between which integers numbers lie, as far as the operations of a step say.

What a row chooses by a number must be there: torch raises an error where it is not, which a kernel cannot. So before a
kernel takes such a step it is proven that every index is in range, whatever the numbers are, given that the integers of
the state are where the step itself keeps them; and that is looked at when a call begins.
"""

import math
from collections.abc import Callable, Mapping
from math import prod
from typing import Any, NamedTuple

import torch

from rnnkit_compiler.ir.values import MOVES, VIEWS
from rnnkit_compiler.trace.recording import Call, Recording, Ref


class Interval(NamedTuple):
    """The numbers from the least to the most."""

    least: float
    most: float

    @property
    def is_bounded(self) -> bool:
        """Whether it ends on both sides."""
        return math.isfinite(self.least) and math.isfinite(self.most)

    def joined(self, other: "Interval") -> "Interval":
        """Return the least interval that has both."""
        return Interval(min(self.least, other.least), max(self.most, other.most))

    def is_within(self, other: "Interval") -> bool:
        """Tell whether another has all of it."""
        return other.least <= self.least and self.most <= other.most


ANY = Interval(-math.inf, math.inf)
TRUTH = Interval(0, 1)
NOTHING = Interval(0, 0)

PLACES = {"argmax": 0, "argmin": 0, "max": 1, "min": 1, "median": 1, "kthvalue": 1, "topk": 1, "sort": 1}
"""What returns places along a dimension, and which of its results these are."""

BOUNDARIES = {"bucketize": "boundaries", "searchsorted": "sorted_sequence"}
"""What counts how many boundaries are below a number, and which of its arguments these are."""

TAKING = frozenset((*VIEWS, "amax", "amin", "max", "min", "sort", "topk", "kthvalue", "median", "_to_copy"))
"""What takes numbers out of its operand."""

ROUNDING = frozenset(
    (*TAKING, "floor", "ceil", "round", "trunc", "mul", "where", "masked_fill", "fill", "scalar_tensor")
)
"""What makes real numbers that lie between the same integers in every dtype, since to round leads beyond none."""

EXACT = Interval(-256, 256)
"""The integers that every dtype of real numbers has, bfloat16 too."""


def place_of(call: Call) -> int | None:
    """Return the number of what a call returns of places along a dimension; None: it returns none."""
    place = PLACES.get(call.base_name, len(call.outputs))
    return call.outputs[place] if place < len(call.outputs) else None


def place_count(recording: Recording, call: Call) -> int:
    """Return how many places there are along the dimension that a call looks along."""
    given = call.arguments
    shape, dim = recording.shapes[given["self"].number], given["dim"]
    return prod(shape) if dim is None else shape[dim] if shape else 1


class Intervals:
    """The intervals of a recording's integers and booleans, and of real numbers that are made of constants or of them.

    Args:
        recording: of the step.
        states: where the integers of the state are taken to lie, by number.
    """

    def __init__(self, recording: Recording, states: Mapping[int, Interval]) -> None:
        self._recording = recording
        self._known = dict(states)
        self._made_by = {number: call for call in recording.calls for number in call.outputs}
        for call in recording.calls:
            for number in call.outputs:
                if number is not None:
                    real = is_real(recording.dtypes[number])
                    self._known[number] = self._around(call, number) if real else self._result(call, number)

    def of(self, argument: Any) -> Interval:
        """Return where an argument lies: a number, or a tensor."""
        if not isinstance(argument, Ref):
            return ANY if argument != argument else Interval(float(argument), float(argument))
        constant = self._recording.constants.get(argument.number)
        if constant is not None and constant.numel() and not constant.is_complex():
            least, most = float(constant.min()), float(constant.max())
            return Interval(least, most) if least <= most else ANY  # where one is no number
        if self._recording.dtypes[argument.number] == torch.bool:
            return TRUTH
        return self._known.get(argument.number, ANY)

    def _result(self, call: Call, number: int) -> Interval:
        name = call.base_name
        if self._recording.dtypes[number] == torch.bool:
            return TRUTH
        if number == place_of(call):
            return Interval(0, place_count(self._recording, call) - 1)
        if name in BOUNDARIES:
            return Interval(0, prod(self._recording.shapes[call.arguments[BOUNDARIES[name]].number]))
        if name == "sum":
            return self._total(call)
        rule = _RULES.get(f"{name}imum" if "other" in call.arguments and name in ("max", "min") else name)
        if rule is not None:
            return rule(self, call.arguments)
        if name in MOVES:  # some of which fill with zeros
            given = [call.arguments.get(word) for word in ("self", "src", "source", "value", "values")]
            found = NOTHING
            for value in given:
                found = found if value is None else found.joined(self.of(value))
            return found
        return self.of(call.arguments["self"]) if name in TAKING else ANY

    def end_of(self, mask: Ref, tensor: Ref) -> float:
        """Return below which number a mask says that a tensor lies."""
        call = self._made_by.get(mask.number)
        if call is None or call.base_name != "lt" or call.arguments["self"] != tensor:
            return -math.inf
        return self.of(call.arguments["other"]).least

    def _around(self, call: Call, number: int) -> Interval:
        """Return between which integers a call's real numbers lie."""
        known = call.base_name in ROUNDING and not _is_fraction(call.arguments.get("other"))
        found = self._result(call, number) if known else ANY
        if not found.is_within(EXACT):
            return ANY
        if not found.is_bounded:  # of no number
            return found
        return Interval(math.floor(found.least), math.ceil(found.most))

    def _total(self, call: Call) -> Interval:
        """Return where a sum lies of as many numbers as each row has at most."""
        own, shape = self.of(call.arguments["self"]), self._recording.shapes[call.arguments["self"].number]
        count = prod(size for size in shape if size % self._recording.rows)
        return Interval(min(own.least, own.least * count), max(own.most, own.most * count))


def _is_fraction(argument: Any) -> bool:
    """Tell whether a literal is none of the numbers that every dtype has."""
    return isinstance(argument, float) and not argument.is_integer()


def is_real(dtype: torch.dtype) -> bool:
    """Tell whether numbers of a dtype are no integers."""
    return dtype.is_floating_point or dtype.is_complex


Given = Mapping[str, Any]


def _sum(own: Intervals, given: Given, sign: int = 1) -> Interval:
    a, b, alpha = own.of(given["self"]), own.of(given["other"]), given.get("alpha", 1) * sign
    low, high = sorted((b.least * alpha, b.most * alpha))
    return Interval(a.least + low, a.most + high)


def _difference(own: Intervals, given: Given) -> Interval:
    return _sum(own, given, -1)


def _difference_from(own: Intervals, given: Given) -> Interval:
    return _sum(own, {"self": given["other"], "other": given["self"], "alpha": given["alpha"]}, -1)


def _product(own: Intervals, given: Given) -> Interval:
    a, b = own.of(given["self"]), own.of(given["other"])
    if not (a.is_bounded and b.is_bounded):
        return ANY
    corners = [x * y for x in a for y in b]
    return Interval(min(corners), max(corners))


def _remainder(own: Intervals, given: Given) -> Interval:
    a, divisor = own.of(given["self"]), given["other"]
    if isinstance(divisor, Ref) or divisor <= 0:
        return ANY
    whole = Interval(0, divisor - 1)
    return a if a.is_within(whole) and a.is_bounded else whole


def _fmod(own: Intervals, given: Given) -> Interval:
    whole = _remainder(own, given)
    return whole if own.of(given["self"]).least >= 0 or not whole.is_bounded else Interval(-whole.most, whole.most)


def _quotient(own: Intervals, given: Given) -> Interval:
    a, divisor = own.of(given["self"]), given["other"]
    if isinstance(divisor, Ref) or divisor <= 0 or not a.is_bounded:
        return ANY
    return Interval(math.floor(a.least / divisor), math.floor(a.most / divisor) + (a.most < 0))


def _chosen(own: Intervals, given: Given) -> Interval:
    return own.of(given["self"]).joined(own.of(given["other"]))


def _filled(own: Intervals, given: Given) -> Interval:
    """Return where a tensor lies once it is filled, perhaps where it was below a number."""
    least, most = own.of(given["self"])
    return Interval(max(least, own.end_of(given["mask"], given["self"])), most).joined(own.of(given["value"]))


def _joined(own: Intervals, given: Given) -> Interval:
    found = [own.of(tensor) for tensor in given["tensors"]]
    return Interval(min(one.least for one in found), max(one.most for one in found))


def _larger(own: Intervals, given: Given) -> Interval:
    a, b = own.of(given["self"]), own.of(given["other"])
    return Interval(max(a.least, b.least), max(a.most, b.most))


def _smaller(own: Intervals, given: Given) -> Interval:
    a, b = own.of(given["self"]), own.of(given["other"])
    return Interval(min(a.least, b.least), min(a.most, b.most))


def _clamped(own: Intervals, given: Given) -> Interval:
    least, most = own.of(given["self"])
    if given.get("min") is not None:
        low = own.of(given["min"])
        least, most = max(least, low.least), max(most, low.most)
    if given.get("max") is not None:
        high = own.of(given["max"])
        least, most = min(least, high.least), min(most, high.most)
    return Interval(least, most)


def _negative(own: Intervals, given: Given) -> Interval:
    least, most = own.of(given["self"])
    return Interval(-most, -least)


def _size(own: Intervals, given: Given) -> Interval:
    least, most = own.of(given["self"])
    return Interval(max(least, -most, 0), max(-least, most))


def _to_the_right(own: Intervals, given: Given) -> Interval:
    a, by = own.of(given["self"]), given["other"]
    return ANY if isinstance(by, Ref) or not a.is_bounded else Interval(int(a.least) >> by, int(a.most) >> by)


def _masked(own: Intervals, given: Given) -> Interval:
    mask = given["other"]
    return ANY if isinstance(mask, Ref) or mask < 0 else Interval(0, mask)


def _full(own: Intervals, given: Given) -> Interval:
    return own.of(given["fill_value"])


_RULES: dict[str, Callable[[Intervals, Given], Interval]] = {
    "add": _sum,
    "sub": _difference,
    "rsub": _difference_from,
    "mul": _product,
    "remainder": _remainder,
    "fmod": _fmod,
    "floor_divide": _quotient,
    "div": _quotient,
    "where": _chosen,
    "masked_fill": _filled,
    "fill": lambda own, given: own.of(given["value"]),
    "cat": _joined,
    "stack": _joined,
    "maximum": _larger,
    "minimum": _smaller,
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max"), _clamped),
    **dict.fromkeys(("floor", "ceil", "round", "trunc"), lambda own, given: own.of(given["self"])),
    "neg": _negative,
    "abs": _size,
    "__rshift__": _to_the_right,
    "bitwise_right_shift": _to_the_right,
    "bitwise_and": _masked,
    **dict.fromkeys(("full", "full_like", "new_full"), _full),
    "scalar_tensor": lambda own, given: own.of(given["s"]),
    **dict.fromkeys(("zeros", "zeros_like", "new_zeros", "zero"), lambda own, given: NOTHING),
    **dict.fromkeys(("ones", "ones_like", "new_ones"), lambda own, given: Interval(1, 1)),
}
"""By the name of the operation."""
