"""Draws: random numbers that a step draws, made for all steps before the first one.

What a generator gives depends on no value of the step. So a draw is an input of the step that `project` does not
return: it has no gradient, and is made by the very calls that the loop makes, in the loop's order.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.trace.generators import Source, default_of
from rnnkit_compiler.trace.instead import Operator
from rnnkit_compiler.trace.recording import Call, NotRecordable, Recording, Ref
from rnnkit_compiler.trace.shared_draws import with_copies

aten = torch.ops.aten


def _drawn(shape: Sequence[int], dtype: torch.dtype, device: torch.device, fill: Any, args: Any, source: Any) -> Tensor:
    made = torch.empty(shape, dtype=dtype, device=device)
    fill(made, *args, generator=None if source is None else source.generator)
    return made


DRAWN = Operator(
    "rnnkit::drawn(int[] shape, ScalarType dtype, Device device, Any fill, Any args, Any source)", _drawn, ()
)
"""Stands among the calls of a recording for a draw, until what runs the step draws ahead."""


class Draw(NamedTuple):
    """A tensor that a step fills with random numbers."""

    fill: Any
    """The operation of aten's that fills a tensor."""

    args: tuple[Any, ...]
    """Of the operation, behind the tensor: numbers."""

    source: Source | None
    """The generator that is handed over; None: that of the device."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    axis: int | None
    """Where the batch is; None: all rows share it."""

    times: int
    """How many elements the axis has for each row."""

    @property
    def name(self) -> str:
        """Name the operation."""
        return str(self.fill._schema.name).removeprefix("aten::")

    @property
    def features(self) -> tuple[int, ...]:
        """The shape of what a row gets."""
        if self.axis is None:
            return self.shape
        each = (self.times,) if self.times > 1 else ()
        return (*self.shape[: self.axis], *each, *self.shape[self.axis + 1 :])

    @property
    def bytes_of_a_row(self) -> int:
        """The memory that is taken for each row and step."""
        return prod(self.features) * self.dtype.itemsize

    @property
    def is_first(self) -> bool:
        """Whether the batch alone is its first dimension, or is to become that."""
        return not self.axis and self.times == 1

    def room(self, steps: int, rows: int) -> Tensor:
        """Return room for what is drawn at each step, which stands in one piece as the step's own tensor does."""
        shape = self.shape
        if self.axis is not None:
            shape = (*shape[: self.axis], rows * self.times, *shape[self.axis + 1 :])
        return torch.empty(steps, *shape, dtype=self.dtype, device=self.device)

    def part(self, room: Tensor, rows: int) -> Tensor:
        """Return what was drawn as a step reads it, (T, B, ...)."""
        if self.axis is None:
            return room.unsqueeze(1).expand(-1, rows, *self.shape).contiguous()
        axis = 1 + self.axis
        if self.times > 1:
            room = room.view(*room.shape[:axis], -1, self.times, *room.shape[axis + 1 :])
        return room.movedim(axis, 1)


@torch.no_grad()
def drawn(draws: Sequence[Draw], steps: int, rows: int) -> list[Tensor]:
    """Draw for all steps what each draws, in the order of the loop; return parts (T, B, ...)."""
    rooms = [draw.room(steps, rows) for draw in draws]
    sources = [None if draw.source is None else draw.source.generator for draw in draws]
    calls = [*zip(draws, sources, (room.unbind(0) for room in rooms), strict=True)]
    for t in range(steps):
        for draw, generator, pieces in calls:
            draw.fill(pieces[t], *draw.args, generator=generator)
    return [draw.part(room, rows) for draw, room in zip(draws, rooms, strict=True)]


def generators_of(draws: Sequence[Draw], device: torch.device) -> set[torch.Generator]:
    """Return what draws from, that of a device and of the CPU among them."""
    named = {draw.source.generator for draw in draws if draw.source is not None}
    return {default_of(torch.device("cpu")), default_of(device), *named}


def lines(draws: Sequence[Draw]) -> Iterator[str]:
    """Say what is drawn, and what memory it takes, a line each."""
    for draw in draws:
        shape, dtype = ", ".join(map(str, ("B", *draw.features))), str(draw.dtype).removeprefix("torch.")
        memory = f"{draw.bytes_of_a_row:,} bytes for each row and step"
        yield f"drawn for all steps before the first one: {draw.name} of ({shape}), {dtype}; {memory}"


def is_ordered(tensor: Tensor) -> bool:
    """Tell whether the elements of a tensor lie in the order of its axes: what is drawn like it lies as it does."""
    strides = [stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1 and stride]
    return strides == sorted(strides, reverse=True)


def set_apart(recording: Recording) -> None:
    """Make parts of the draws of a recording.

    Raises:
        NotRecordable: a draw has the batch more than once.
    """
    calls = [call for call in recording.calls if call.operator is DRAWN]
    for call in calls:
        shape, dtype, device, fill, args, source = call.args
        axes = [axis for axis, size in enumerate(shape) if size and size % recording.rows == 0]
        if len(axes) > 1:
            raise NotRecordable("step() draws random numbers for pairs of rows; project() is the place")
        axis, times = (axes[0], shape[axes[0]] // recording.rows) if axes else (None, 1)
        recording.draws.append(Draw(fill, args, source, tuple(shape), dtype, device, axis, times))
        recording.parts.append(call.output)
    recording.calls = [call for call in recording.calls if call.operator is not DRAWN]


def with_rows_first(recording: Recording) -> None:
    """Have what is drawn begin with the batch, as parts do; what the step reads is made of it."""
    with_copies(recording, [k for k, draw in zip(recording.drawn, recording.draws, strict=True) if draw.axis is None])
    first = len(recording.parts) - len(recording.draws)
    for k, draw in enumerate(recording.draws, first):
        if not draw.is_first:
            number = recording.parts[k]
            recording.parts[k] = part = _numbered(recording, (recording.rows, *draw.features), draw.dtype)
            recording.calls = [*_calls_to(recording, draw, part, number), *recording.calls]


def _calls_to(recording: Recording, draw: Draw, part: int, number: int) -> list[Call]:
    """Return the calls that make the tensor of the step's of a part."""
    calls = []
    if draw.axis:
        order = [*range(1, draw.axis + 1), 0, *range(draw.axis + 1, len(draw.features) + 1)]
        shape = tuple(recording.shapes[part][k] for k in order)
        made = _numbered(recording, shape, draw.dtype) if draw.times > 1 else number
        calls.append(Call(aten.permute.default, (Ref(part), order), {}, (made,), False))
        part = made
    if draw.times > 1:
        calls.append(Call(aten.view.default, (Ref(part), list(draw.shape)), {}, (number,), False))
    return calls


def _numbered(recording: Recording, shape: tuple[int, ...], dtype: torch.dtype) -> int:
    recording.shapes.append(shape)
    recording.dtypes.append(dtype)
    return len(recording.shapes) - 1
