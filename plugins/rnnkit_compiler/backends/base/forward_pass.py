"""The way forward through a kernel."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.backend import Sequences
from rnnkit_compiler.backends.base.passes import Pass
from rnnkit_compiler.backends.base.recurrence import Unrolling
from rnnkit_compiler.backends.cpp.workspace import on_storage, shared


class ForwardPass(Pass):
    """The way forward."""

    def __init__(self, unrolling: Unrolling, sequences: Sequences, tensors: Sequence[Tensor], training: bool) -> None:
        super().__init__(unrolling, sequences, tensors)
        self.name = "Forward" if training else "Inference"
        self.kept_parts: list[Tensor] = []
        """Parts that the way back reads."""
        self.kept: list[Tensor] = []
        """What is kept in the form of parts."""
        layout = unrolling.layout(self.name, self.steps, self.batch)
        # As numbers, not as bytes: whoever packs saved tensors with loss, in bfloat16 say, may do so with these.
        self.memory = shared.take((layout.size // self.dtype.itemsize,), self.dtype)
        self.enter_memory(self.memory, layout)
        self.y_states: Tensor | None = None
        """The state that is the output, before every step and after the last: (T + 1, B, H)."""
        self.shares_outputs = False
        """Whether the outputs are that state's own memory."""

    def run(self) -> tuple[Tensor, list[Tensor]]:
        """Give outputs (T, B, O) and last states."""
        training = self.name == "Forward"
        ys = self._outputs(training)
        self.enter_vectors()
        self._enter_parts()
        last = []
        for k, state in enumerate(self.states):
            self.admit(f"first{k}", state)
            last.append(torch.empty(state.shape, dtype=state.dtype, device="cpu"))
            self.enter(f"last{k}", last[k])
        for k, state in enumerate(self.initial):
            self.admit(f"initial{k}", state)
        self.launch(self.name, self.steps + 1 if training else 2, "y" in self.addresses)
        return ys, last

    def _outputs(self, training: bool) -> Tensor:
        """Give the tensor that the outputs are written to: that of a state where the output is one."""
        shape = (self.steps, self.batch, *self.step.output_shape)
        k = self.plan.y_state
        if training and k is not None:
            self.y_states = self.take(self.steps + 1, self.batch, self.step.state_widths[k], exact=True)
            self.enter(f"state{k}", self.y_states)
            self.shares_outputs = self.sequences.lengths is None and self.sequences.reset is None
            if self.shares_outputs:
                return _after_first(self.y_states, shape)
        ys = self.take(*shape, exact=True)
        self.enter("y", ys)
        return ys

    def _enter_parts(self) -> None:
        """Let the kernel have the parts, and those that are products of the input alone."""
        parts = [self.admit(f"part{k}", part.detach()) for k, part in enumerate(self.parts)]
        for hoisted in self.step.hoisted:
            matrix = self.matrices[hoisted.matrix]
            bias = None if hoisted.bias is None else self.addresses[f"vector{hoisted.bias}"]
            product = self.multiply((self.steps, self.batch, matrix.columns), self.piece(hoisted), matrix, bias)
            parts.append(self.enter(f"part{len(parts)}", product))
        self.kept_parts = [parts[k] for k in self.plan.reads_parts]
        if self.name == "Forward":
            self._enter_kept(parts)

    def _enter_kept(self, parts: Sequence[Tensor]) -> None:
        """Let the kernel have room for what is kept: over products that are its own, or else apart."""
        for k, kept in self.plan.kept.items():
            over = k >= self.unrolling.given_parts and self.may_overlay(kept.alone)
            self.kept.append(self.enter(f"kept{k}", parts[k] if over else self.take(*parts[k].shape)))


def _after_first(buffer: Tensor, shape: Sequence[int]) -> Tensor:
    """Give all slots but the first, as no view: autograd treats outputs that are views apart."""
    return on_storage(buffer, int(buffer.storage_offset()) + prod(buffer.shape[1:]), shape, buffer.dtype)
