"""The forward pass through a kernel."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from rnnkit_compiler.backends.base import numbered
from rnnkit_compiler.backends.base.backend import Timeline
from rnnkit_compiler.backends.base.passes import Pass
from rnnkit_compiler.backends.base.recurrence import Recurrence


class ForwardPass(Pass):
    """The forward pass."""

    def __init__(self, recurrence: Recurrence, timeline: Timeline, tensors: Sequence[Tensor], training: bool) -> None:
        super().__init__(recurrence, timeline, tensors)
        self.name = "Forward" if training else "Inference"
        self.kept_parts: list[Tensor] = []
        """Parts that backward reads."""
        self.kept: list[Tensor] = []
        """What is kept in the form of parts."""
        layout = recurrence.layout(self.name, self.steps, self.batch)
        # As numbers, not as bytes: whoever packs saved tensors with loss, in bfloat16 say, may do so with these.
        self.memory = self.allocate(layout.size // self.dtype.itemsize)
        self.enter_memory(self.memory, layout)
        self.y_states: Tensor | None = None
        """The state that is the output, before every step and after the last: (T + 1, B, H)."""
        self.shares_outputs = False
        """Whether the outputs are that state's own memory."""

    def run(self) -> tuple[Tensor, list[Tensor]]:
        """Return outputs (T, B, O) and last states."""
        training = self.name == "Forward"
        ys = self._outputs(training)
        self.enter_vectors()
        self._enter_parts()
        last = []
        for k, state in enumerate(self.states):
            self.admit(numbered.first(k), state)
            last.append(torch.empty(state.shape, dtype=state.dtype, device=self.device))
            self.enter(numbered.last(k), last[k])
        for k, state in enumerate(self.initial):
            self.admit(numbered.initial(k), state)
        self.launch(self.name, self.steps + 1 if training else 2, numbered.Y in self.locations)
        return ys, last

    def _outputs(self, training: bool) -> Tensor:
        """Return the tensor that the outputs are written to: that of a state where the output is one."""
        shape = (self.steps, self.batch, *self.step.output_shape)
        k = self.plan.y_state
        if training and k is not None:
            self.y_states = self.allocate(self.steps + 1, self.batch, self.step.state_widths[k], exact=True)
            self.enter(numbered.state(k), self.y_states)
            self.shares_outputs = self.timeline.lengths is None and self.timeline.reset is None
            if self.shares_outputs:
                return _after_first(self.y_states, shape)
        ys = self.allocate(*shape, exact=True)
        self.enter(numbered.Y, ys)
        return ys

    def _enter_parts(self) -> None:
        """Let the kernel have the parts, and those that are products of the input alone."""
        parts = [self.admit(numbered.part(k), part.detach()) for k, part in enumerate(self.parts)]
        for hoisted in self.step.hoisted:
            matrix = self.matrices[hoisted.matrix]
            bias = None if hoisted.bias is None else self.locations[numbered.vector(hoisted.bias)]
            product = self.multiply((self.steps, self.batch, matrix.columns), self.input_of(hoisted), matrix, bias)
            parts.append(self.enter(numbered.part(len(parts)), product))
        self.kept_parts = [parts[k] for k in self.plan.reads_parts]
        if self.name == "Forward":
            self._enter_kept(parts)

    def _enter_kept(self, parts: Sequence[Tensor]) -> None:
        """Let the kernel have room for what is kept: over products that are its own, or else apart."""
        for k, kept in self.plan.kept.items():
            over = k >= self.recurrence.given_parts and self.may_overlay(kept.alone)
            room = parts[k] if over else self.allocate(*parts[k].shape)
            self.kept.append(self.enter(numbered.kept(k), room))


def _after_first(buffer: Tensor, shape: Sequence[int]) -> Tensor:
    """Return all slots but the first, as no view: autograd treats outputs that are views apart."""
    start = int(buffer.storage_offset()) + prod(buffer.shape[1:])
    fresh = torch.empty(0, dtype=buffer.dtype, device=buffer.device)
    return fresh.set_(buffer.untyped_storage(), start, tuple(shape))  # type: ignore[call-overload, no-any-return]
