"""Draws that all rows share, such as one mask for the batch: each row gets a copy, while operations go by element.

A tensor that is made of such draws alone has the batch in front from then on, and is broadcast as it was.
"""

from collections.abc import Sequence
from typing import Any

import torch

from rnnkit_compiler.trace.recording import Call, NotRecordable, Recording, Ref, calls_for

aten = torch.ops.aten

BESIDE = frozenset(("detach", "clone", "alias", "_to_copy"))
"""What goes by element, though torch has no tag that says so."""


def with_copies(recording: Recording, shared: Sequence[int]) -> None:
    """Have what is drawn for all rows, by number, begin with the batch; what nobody reads is left out.

    Raises:
        NotRecordable: something is made of it that does not go by element.
    """
    if not shared:
        return
    own = {number: recording.shapes[number] for number in shared}
    calls: list[Call] = []
    for call in calls_for(recording.calls, [*recording.results, *recording.conditions]):
        if own.keys().isdisjoint(call.reads):
            calls.append(call)
            continue
        if torch.Tag.pointwise not in call.operator.tags and call.base_name not in BESIDE:
            raise NotRecordable(
                f"step() draws random numbers that rows of the batch share, and makes {call.name} of them"
            )
        shape = recording.shapes[call.output]
        is_of_rows = any(size and size % recording.rows == 0 for size in shape)
        if is_of_rows and (shape[0] != recording.rows or any(size % recording.rows == 0 for size in shape[1:] if size)):
            raise NotRecordable("step() draws random numbers that rows of the batch share, which is not first")
        rank = len(shape) if is_of_rows else len(shape) + 1
        places = {k: _of_rank(recording, calls, own[k], k, rank) for k in dict.fromkeys(call.reads) if k in own}
        calls.append(call._replace(args=_exchanged(call.args, places), kwargs=_exchanged(call.kwargs, places)))
        if not is_of_rows:
            own[call.output] = shape
            recording.shapes[call.output] = (recording.rows, *shape)
    for number in shared:
        recording.shapes[number] = (recording.rows, *own[number])
    recording.calls = calls


def _of_rank(recording: Recording, calls: list[Call], shape: tuple[int, ...], number: int, rank: int) -> int:
    """Return a copy for each row with so many dimensions, of what had this shape."""
    inner = list(shape)
    while inner and inner[0] == 1:
        inner.pop(0)
    ones = rank - 1 - len(inner)
    if ones < 0:
        raise NotRecordable("step() draws random numbers that rows of the batch share, which is not first")
    wanted = [recording.rows, *[1] * ones, *inner]
    if wanted == [recording.rows, *shape]:
        return number
    recording.shapes.append(tuple(wanted))
    recording.dtypes.append(recording.dtypes[number])
    made = len(recording.shapes) - 1
    calls.append(Call(aten.view.default, (Ref(number), wanted), {}, (made,), False))
    return made


def _exchanged(value: Any, places: dict[int, int]) -> Any:
    if isinstance(value, Ref):
        return Ref(places.get(value.number, value.number))
    if isinstance(value, tuple | list):
        return type(value)(_exchanged(item, places) for item in value)
    return {key: _exchanged(item, places) for key, item in value.items()} if isinstance(value, dict) else value
