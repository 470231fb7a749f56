"""Values that a step asks for in Python: whether a check of torch's holds, and what is in tensors that never learn.

A check becomes a condition of the recording. Of tensors, buffers mostly, the contents are compared at every call, as
those of buffers by which units are taken.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.trace.recording import Call, NotRecordable, Recording, Ref, calls_for

aten = torch.ops.aten

LARGEST = 1 << 12
"""Elements of a tensor whose contents are compared at every call."""


def note_question(recording: Recording, value: Tensor, number: int, learning: Sequence[bool]) -> bool:
    """Note that a step asks for a value, and what that depends on; tell whether it may.

    Args:
        recording: so far.
        value: a tensor of one element.
        number: of that tensor.
        learning: by number, whether a gradient goes through a tensor.
    """
    if (mask := _mask_of(recording.calls, value, number)) is not None:
        recording.conditions.append(mask)
        return True
    if (buffers := _buffers_of(recording, number, learning)) is None:
        return False
    recording.asked |= buffers
    recording.answered.add(number)
    return True


def asked_by(recording: Recording) -> tuple[str, ...]:
    """Return the paths of the buffers whose values a step has asked for."""
    return tuple(path for path, number in recording.weights.items() if number in recording.asked)


def check_answered(recording: Recording) -> None:
    """Raise NotRecordable if what a step has asked for is made of how many rows there are."""
    for call in calls_for(recording.calls, [*recording.answered]):
        sizes = [size for number in call.outputs if number is not None for size in recording.shapes[number]]
        if any(size and size % recording.rows == 0 for size in (*sizes, *_numbers_in((call.args, call.kwargs)))):
            raise NotRecordable("step() reads the values of a tensor that is made of how many rows there are")


def _numbers_in(arguments: Any) -> Iterator[int]:
    if isinstance(arguments, tuple | list) and not isinstance(arguments, Ref):
        for argument in arguments:
            yield from _numbers_in(argument)
    elif isinstance(arguments, dict):
        yield from _numbers_in([*arguments.values()])
    elif type(arguments) is int:
        yield arguments


def _mask_of(calls: Sequence[Call], value: Tensor, number: int) -> int | None:
    """Return which mask a number says to be true everywhere, as torch's own checks ask before they raise.

    None: it says something else, for a step that branches on it, by rows that the results may not show.
    """
    made = next((call for call in reversed(calls) if number in call.outputs), None)
    is_check = made is not None and made.operator is aten._is_all_true.default and bool(value)
    return made.reads[0] if made is not None and is_check else None


def _buffers_of(recording: Recording, number: int, learning: Sequence[bool]) -> set[int] | None:
    """Return the buffers of which a tensor is made; None: it is made of something else as well."""
    made = {output: call for call in recording.calls for output in call.outputs}
    fixed = {weight for weight in recording.weights.values() if not learning[weight]}
    found, left = set[int](), [number]
    while left:
        number = left.pop()
        if number in made:
            if getattr(made[number].operator, "namespace", "") != aten.name:  # a draw, say
                return None
            left += made[number].reads
        elif number in fixed and prod(recording.shapes[number]) <= LARGEST:
            found.add(number)
        elif number not in recording.constants:
            return None
    return found
