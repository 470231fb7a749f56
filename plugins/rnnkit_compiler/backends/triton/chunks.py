"""Chunks: the launches of a fixed number of steps of a kernel, recorded as a CUDA graph; see `graphs`."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.backend import Timeline
from rnnkit_compiler.backends.base.graphs import Recorded, Replay, current_stream, record
from rnnkit_compiler.backends.base.runtime import Launch, Matrix
from rnnkit_compiler.backends.triton.locations import At, slots_of
from rnnkit_compiler.schedule.buffers import Buffer, BufferKind

StepsOf = Callable[[Launch], Callable[[range], None]]
"""Returns what launches some steps of a call."""

CONSTANT = (BufferKind.VECTOR, BufferKind.INITIAL, BufferKind.GRAD_VECTOR)
"""The same memory at every step of a call."""

ADDED_UP = (BufferKind.INITIAL, BufferKind.GRAD_VECTOR)
"""Of these, what backward adds to at every step."""

READ_BACKWARD = (BufferKind.PART, BufferKind.GRAD_Y, BufferKind.KEPT, BufferKind.SAVED, BufferKind.OPERAND)
WRITTEN_FORWARD = (BufferKind.Y, BufferKind.KEPT, BufferKind.SAVED, BufferKind.OPERAND)
WRITTEN_BACKWARD = (BufferKind.GRAD_PART, BufferKind.GRAD_PRODUCT)
"""Buffers with a slot for each step, but for states."""


class Span(NamedTuple):
    """Slots of a call's buffer, and those of a chunk's own that belong to them."""

    start: int
    own: int
    slots: int


class Chunk:
    """A chunk of steps in rooms of its own.

    Args:
        launch: one like those whose steps it is to run.
        buffers: what the kernel reads and writes, and how many numbers of each a row has.
        size: how many steps.
        steps_of: launches some of them.
    """

    def __init__(self, launch: Launch, buffers: dict[Buffer, int], size: int, steps_of: StepsOf) -> None:
        self._size = size
        self._widths = {buffer: width for buffer, width in buffers.items() if buffer in launch.locations}
        self._is_forward = launch.kernel != "Backward"
        timeline = launch.timeline
        lengths = None if timeline.lengths is None else torch.empty_like(timeline.lengths)
        reset = None if timeline.reset is None else torch.empty_like(timeline.reset[: self._size])
        self.launch = launch._replace(
            timeline=Timeline(self._size, timeline.batch, lengths, None, reset),
            locations={buffer: At(self._room(launch, buffer)) for buffer in self._widths},
            matrices=[_room_for(matrix) for matrix in launch.matrices],
            slots=launch.slots if launch.slots == 2 else self._size + 1,
            products=(),
        )
        self._steps = steps_of(self.launch)
        self.replay: Replay | None = None

    def begin(self, launch: Launch) -> None:
        """Take what is the same at all steps of a call."""
        for own, matrix in zip(self.launch.matrices, launch.matrices, strict=True):
            own.location.matrix(*own[1:]).copy_(matrix.location.matrix(*matrix[1:]))
        self._copy_constant(launch, self.launch, CONSTANT)

    def end(self, launch: Launch) -> None:
        """Hand back what has been added up over all steps."""
        if not self._is_forward:
            self._copy_constant(self.launch, launch, ADDED_UP)

    def run(self, launch: Launch, t: int) -> None:
        """Run the steps of a call from t on; they are recorded if they have not been."""
        timeline, own = launch.timeline, self.launch.timeline
        if own.lengths is not None and timeline.lengths is not None:
            own.lengths.copy_(timeline.lengths - t)
        if own.reset is not None and timeline.reset is not None:
            own.reset.copy_(timeline.reset[t : t + self._size])
        for buffer, span in self._spans(launch, t, self._incoming):
            self._own_slots(buffer, span).copy_(self._slots(launch, buffer, span))
        if self.replay is None:
            self.replay = record(lambda: self._steps(range(self._size)))
        self.replay()
        for buffer, span in self._spans(launch, t, self._outgoing):
            self._slots(launch, buffer, span).copy_(self._own_slots(buffer, span))

    def _incoming(self, kind: BufferKind, t: int, slots: int) -> Span | None:
        """Say what a chunk reads of those buffers that have slots."""
        if kind is BufferKind.STATE:
            return Span(t % slots, 0, 1) if self._is_forward else Span(t, 0, self._size + 1)
        if kind is BufferKind.GRAD_STATE:
            return Span((t + self._size) % 2, self._size % 2, 1)
        reads = kind is BufferKind.PART if self._is_forward else kind in READ_BACKWARD
        return Span(t, 0, self._size) if reads else None

    def _outgoing(self, kind: BufferKind, t: int, slots: int) -> Span | None:
        """Say what a chunk writes of those buffers that have slots."""
        if kind is BufferKind.STATE:
            last = Span((t + self._size) % 2, self._size % 2, 1)
            all_ = Span(t, 0, self._size + 1)  # the first one too: a row that starts again has written it
            return (last if slots == 2 else all_) if self._is_forward else None
        if kind is BufferKind.GRAD_STATE:
            return Span(t % 2, 0, 1)
        return Span(t, 0, self._size) if kind in (WRITTEN_FORWARD if self._is_forward else WRITTEN_BACKWARD) else None

    def _spans(
        self, launch: Launch, t: int, span_of: Callable[[BufferKind, int, int], Span | None]
    ) -> Iterator[tuple[Buffer, Span]]:
        for buffer in self._widths:
            span = span_of(buffer.kind, t, launch.slots)
            if span is not None:
                yield buffer, span

    def _slots(self, launch: Launch, buffer: Buffer, span: Span) -> Tensor:
        return slots_of(launch, buffer, span.start, span.slots, self._widths[buffer])

    def _own_slots(self, buffer: Buffer, span: Span) -> Tensor:
        return slots_of(self.launch, buffer, span.own, span.slots, self._widths[buffer])

    def _copy_constant(self, source: Launch, target: Launch, kinds: tuple[BufferKind, ...]) -> None:
        for buffer, width in self._widths.items():
            if buffer.kind in kinds:
                size = _rows(source, buffer), width, width, 1
                target.locations[buffer].matrix(*size).copy_(source.locations[buffer].matrix(*size))

    def _room(self, launch: Launch, buffer: Buffer) -> Tensor:
        """Return memory for a buffer of a chunk."""
        slots = {BufferKind.STATE: min(launch.slots, self._size + 1), BufferKind.GRAD_STATE: 2}
        count = 1 if buffer.kind in (*CONSTANT, BufferKind.TEMPORARY) else slots.get(buffer.kind, self._size)
        like: Tensor = launch.locations[buffer].tensor
        return like.new_empty(count * _rows(launch, buffer), self._widths[buffer])


class Chunks(Recorded[Chunk]):
    """The chunks of a step's kernels."""

    def run(self, launch: Launch, buffers: dict[Buffer, int], steps_of: StepsOf) -> None:
        """Run all steps of a call, whole chunks of them by graphs.

        Args:
            launch: the call.
            buffers: what the kernel reads and writes, and how many numbers of each a row has.
            steps_of: returns what launches some steps of a call.
        """
        whole = self.whole(launch.timeline.steps)
        starts, rest = range(0, whole, self.size), range(whole, launch.timeline.steps)
        with self.lock:
            chunk = self._chunk_for(launch, buffers, steps_of)
            if launch.kernel == "Backward":
                steps_of(launch)(rest)
            chunk.begin(launch)
            for t in starts if launch.kernel != "Backward" else reversed(starts):
                chunk.run(launch, t)
            chunk.end(launch)
            if launch.kernel != "Backward":
                steps_of(launch)(rest)

    def _chunk_for(self, launch: Launch, buffers: dict[Buffer, int], steps_of: StepsOf) -> Chunk:
        timeline = launch.timeline
        forms = timeline.batch, timeline.lengths is None, timeline.reset is None, launch.writes_y, launch.slots == 2
        turned = tuple(matrix.row_stride < matrix.column_stride for matrix in launch.matrices)
        key = (launch.kernel, launch.shares, *forms, turned, frozenset(launch.locations), current_stream())
        return self.kept.get(key, lambda: Chunk(launch, buffers, self.size, steps_of))


def _rows(launch: Launch, buffer: Buffer) -> int:
    """Return how many rows one slot of a buffer has."""
    rows = {BufferKind.VECTOR: 1, BufferKind.GRAD_VECTOR: launch.shares.workers}
    return rows.get(buffer.kind, launch.timeline.batch)


def _room_for(matrix: Matrix) -> Matrix:
    """Return room for a matrix, with the longer of its strides along the same axis."""
    like: Tensor = matrix.location.tensor
    if matrix.row_stride < matrix.column_stride:
        return _room_for(matrix.transposed).transposed
    room = like.new_empty(matrix.rows, matrix.columns)
    return Matrix(At(room), matrix.rows, matrix.columns, matrix.columns, 1)
