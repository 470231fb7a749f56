"""The way forward through a kernel."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from rnnkit_compiler.native.linear import product
from rnnkit_compiler.native.passes import Pass
from rnnkit_compiler.native.unrolling import Unrolling
from rnnkit_compiler.native.workspace import on_storage, shared
from rnnkit_compiler.run.backend import Sequences


class ForwardPass(Pass):
    """The way forward."""

    def __init__(self, unrolling: Unrolling, sequences: Sequences, tensors: Sequence[Tensor], training: bool) -> None:
        super().__init__(unrolling, sequences, tensors)
        self.name = "Forward" if training else "Inference"
        self.kept_parts: list[Tensor] = []
        layout = unrolling.layout(self.name, self.steps, self.batch)
        self.memory = shared.take((layout.size,), torch.uint8)
        self.enter_memory(self.memory, layout)
        self.y_states: Tensor | None = None
        """The state that is the output, before every step and after the last: (T + 1, B, H)."""

    def run(self) -> tuple[Tensor, list[Tensor]]:
        """Give outputs (T, B, O) and last states."""
        training = self.name == "Forward"
        ys = self._outputs(training)
        self._enter_parts()
        self.enter_vectors()
        last = []
        for k, state in enumerate(self.states):
            self.enter(f"first{k}", state)
            last.append(torch.empty(state.shape, dtype=state.dtype, device="cpu"))
            self.enter(f"last{k}", last[k])
        for k, state in enumerate(self.initial):
            self.enter(f"initial{k}", state)
        self.launch(self.name, self.steps + 1 if training else 2, "y" in self.addresses)
        return ys, last

    def _outputs(self, training: bool) -> Tensor:
        """Give the tensor that the outputs are written to: that of a state where the output is one."""
        shape = (self.steps, self.batch, *self.step.output_shape)
        k = self.plan.y_state
        if training and k is not None:
            self.y_states = self.take(self.steps + 1, self.batch, self.step.state_widths[k])
            self.enter(f"state{k}", self.y_states)
            if self.sequences.lengths is None and self.sequences.reset is None:
                return _after_first(self.y_states, shape)
        ys = self.take(*shape)
        self.enter("y", ys)
        return ys

    def _enter_parts(self) -> None:
        """Let the kernel have the parts, and those that are split from products with the state."""
        parts = [self.enter(f"part{k}", part.detach()) for k, part in enumerate(self.parts)]
        for hoisted in self.step.hoisted:
            rows = parts[hoisted.part].view(self.steps, self.batch, -1)
            piece = rows[..., hoisted.offset : hoisted.offset + hoisted.width]
            parts.append(self.enter(f"part{len(parts)}", product(piece, self.matrix(hoisted.matrix))))
        self.kept_parts = [parts[k] for k in self.plan.reads_parts]


def _after_first(buffer: Tensor, shape: Sequence[int]) -> Tensor:
    """Give all slots but the first, as no view: autograd treats outputs that are views apart."""
    return on_storage(buffer, int(buffer.storage_offset()) + prod(buffer.shape[1:]), shape, buffer.dtype)
