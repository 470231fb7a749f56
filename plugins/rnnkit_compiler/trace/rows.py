"""Which sizes are the batch's: two recordings of a step, over different numbers of rows, become one that holds for all.

What is the same in both is a size of the cell's, even where it equals a number of rows; what differs must be a multiple
of the rows.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.trace.recording import ROWS, Call, NotRecordable, Recording, Ref


def joined(one: Recording, other: Recording) -> Recording:
    """Join two recordings of a step.

    Raises:
        NotRecordable: the step does something else for another number of rows.
    """
    if len(one.calls) != len(other.calls) or len(one.shapes) != len(other.shapes):
        raise NotRecordable("step() calls other operations for another number of rows")
    if (one.results, one.conditions) != (other.results, other.conditions) or not _same_constants(one, other):
        raise NotRecordable("step() makes other tensors for another number of rows")
    size = _sizes(one.rows, other.rows)
    return Recording(
        ROWS,
        one.parts,
        one.states,
        one.weights,
        one.constants,
        [_joined_call(a, b, size) for a, b in zip(one.calls, other.calls, strict=True)],
        [_joined_value(a, b, size) for a, b in zip(one.shapes, other.shapes, strict=True)],
        one.dtypes,
        one.output,
        one.next_states,
        names=one.names,
        places=one.places,
        for_slopes=one.for_slopes,
        conditions=one.conditions,
        learned=one.learned,
        asked=one.asked | other.asked,
        answered=one.answered | other.answered,
    )


def joined_arguments(one: Any, other: Any, rows: int, others: int) -> Any:
    """Join what two calls pass, made over `rows` and `others` rows; raises NotRecordable if that cannot be."""
    return _joined_value(one, other, _sizes(rows, others))


def without_numbers(arguments: Any) -> Any:
    """Return arguments in which all tensors are one."""
    if isinstance(arguments, Ref):
        return Ref(0)
    if isinstance(arguments, tuple | list):
        return type(arguments)(map(without_numbers, arguments))
    if isinstance(arguments, dict):
        return {key: without_numbers(value) for key, value in arguments.items()}
    return arguments


def _same_constants(one: Recording, other: Recording) -> bool:
    pairs = zip(one.constants.values(), other.constants.values(), strict=False)
    return one.constants.keys() == other.constants.keys() and all(_equal(a, b) for a, b in pairs)


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and bool(torch.all((a == b) | (a != a) & (b != b)))


def _sizes(rows: int, others: int) -> Callable[[int, int], int]:
    """Return what tells, from a size in either recording, the size in both."""

    def size(a: int, b: int) -> int:
        if a == b:
            return a
        times, rest = divmod(a, rows)
        if rest or b != times * others:
            raise NotRecordable("step() makes a size of the number of rows that is no multiple of it")
        return times * ROWS

    return size


def _joined_call(one: Call, other: Call, size: Callable[[int, int], int]) -> Call:
    if (one.operator, one.outputs, one.several) != (other.operator, other.outputs, other.several):
        raise NotRecordable("step() calls other operations for another number of rows")
    args, kwargs = _joined_value((one.args, one.kwargs), (other.args, other.kwargs), size)
    return one._replace(args=args, kwargs=kwargs)


def _joined_value(a: Any, b: Any, size: Callable[[int, int], int]) -> Any:
    """Join an argument: sizes by `size`, everything else must be the same."""
    if type(a) is type(b):
        if isinstance(a, Ref):
            if a == b:
                return a
        elif isinstance(a, tuple | list) and len(a) == len(b):
            return type(a)(_joined_value(x, y, size) for x, y in zip(a, b, strict=True))
        elif isinstance(a, dict) and a.keys() == b.keys():
            return {key: _joined_value(a[key], b[key], size) for key in a}
        elif type(a) is int:
            return size(a, b)
        elif a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)):
            return a
    raise NotRecordable("step() passes other arguments for another number of rows")
