"""The forward pass through a kernel."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.backends.base import numbered
from rnnkit_compiler.backends.base.backend import Timeline
from rnnkit_compiler.backends.base.passes import Maker, Pass, Sample


class Kept(NamedTuple):
    """What a forward pass keeps for backward."""

    memory: Tensor
    """The buffers that nobody else sees, one behind the other."""

    y_states: Tensor | None
    """The state that is the output, before every step and after the last: (T + 1, B, H)."""

    parts: Sequence[Tensor]
    """Parts that backward reads."""

    rooms: Sequence[Tensor]
    """What is kept in the form of parts."""


class Forward(NamedTuple):
    """What a forward pass returns."""

    outputs: Tensor
    """(T, B, O)."""

    last: Sequence[Tensor]
    """The last states."""

    kept: Kept


class ForwardPass(Pass):
    """The forward pass.

    Args:
        sample: a call of the form.
        training: keep what backward reads.
    """

    def __init__(self, sample: Sample, training: bool) -> None:
        super().__init__("Forward" if training else "Inference", sample)
        layout = self.recurrence.layout(self.kernel, self.steps, self.batch)
        # As numbers, not as bytes: whoever packs saved tensors with loss, in bfloat16 say, may do so with these.
        self._memory = self.room(layout.size // self.dtype.itemsize)
        self.enter_memory(self._memory, layout)
        self._y_states: int | None = None
        self.shares_outputs = False
        """Whether the outputs are that state's own memory."""
        self._kept_rooms: list[int] = []
        self._ys = self._outputs(training, sample.timeline)
        self.enter_vectors()
        self._kept_parts = self._enter_parts()
        self._last = []
        for k, number in enumerate(self.states):
            self.admit(numbered.first(k), number)
            self._last.append(self.enter(numbered.last(k), self.fresh(self.shapes[number])))
        for k, number in enumerate(self.initial):
            self.admit(numbered.initial(k), number)
        self.prepare(self.steps + 1 if training else 2, numbered.Y in self.locations)

    def run(self, timeline: Timeline, given: Sequence[Tensor]) -> Forward:
        """Run the kernel.

        Raises:
            Unfit: it may not touch one of the tensors; nothing has been computed.
        """
        tensors = self.run_on(given, timeline)
        y_states = None if self._y_states is None else tensors[self._y_states]
        parts, rooms = [tensors[k].detach() for k in self._kept_parts], [tensors[k] for k in self._kept_rooms]
        kept = Kept(tensors[self._memory], y_states, parts, rooms)
        return Forward(tensors[self._ys], [tensors[k] for k in self._last], kept)

    def _outputs(self, training: bool, timeline: Timeline) -> int:
        """Return the tensor that the outputs are written to: that of a state where the output is one."""
        shape = (self.steps, self.batch, *self.step.output_shape)
        k = self.plan.y_state
        if training and k is not None:
            self._y_states = self.room(self.steps + 1, self.batch, self.step.state_widths[k], exact=True)
            self.enter(numbered.state(k), self._y_states)
            self.shares_outputs = timeline.lengths is None and timeline.reset is None
            if self.shares_outputs:
                return self.made(_after_first(self._y_states, shape))
        return self.enter(numbered.Y, self.room(*shape, exact=True))

    def _enter_parts(self) -> list[int]:
        """Let the kernel have the parts, and those that are products of the input alone; return what backward reads."""
        parts = [self.admit(numbered.part(k), number) for k, number in enumerate(self.parts)]
        for hoisted in self.step.hoisted:
            matrix = self.matrices[hoisted.matrix]
            bias = None if hoisted.bias is None else self.locations[numbered.vector(hoisted.bias)]
            shape = (self.product_slots, self.batch, matrix.columns)
            product = self.multiply(shape, self.input_of(hoisted), matrix, bias)
            parts.append(self.enter(numbered.part(len(parts)), product))
        if self.kernel == "Forward":
            self._enter_kept(parts)
        return [parts[k] for k in self.plan.reads_parts]

    def _enter_kept(self, parts: Sequence[int]) -> None:
        """Let the kernel have room for what is kept: over products that are its own, or else apart."""
        for k, kept in self.plan.kept.items():
            over = k >= self.recurrence.given_parts and self.may_overlay(kept.alone)
            shape = (self.steps, self.batch, self.step.part_widths[k])
            self._kept_rooms.append(self.enter(numbered.kept(k), parts[k] if over else self.room(*shape)))


def _after_first(number: int, shape: Sequence[int]) -> Maker:
    """Return what makes all slots but the first, as no view: autograd treats outputs that are views apart."""

    def make(tensors: Sequence[Tensor]) -> Tensor:
        buffer = tensors[number]
        start = int(buffer.storage_offset()) + prod(buffer.shape[1:])
        fresh = torch.empty(0, dtype=buffer.dtype, device=buffer.device)
        return fresh.set_(buffer.untyped_storage(), start, tuple(shape))  # type: ignore[call-overload, no-any-return]

    return make
