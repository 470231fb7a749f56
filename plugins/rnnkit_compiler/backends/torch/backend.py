"""The plan run with torch's operations: on any device, with any operation, and differentiable as often as one likes."""

from collections.abc import Iterator, Sequence

import torch

import rnnkit
from rnnkit_compiler.backends.base.backend import Backend, RecordedStep, Refusal, Results, Tensors, Timeline
from rnnkit_compiler.backends.torch.deferred import deferring
from rnnkit_compiler.trace.recording import Ref, calls_for
from rnnkit_compiler.trace.script import MatrixProduct, Script

LEAST = 1 << 21
"""Rows times elements of the matrices from which on deferring their gradients beats the plain loop, on a CPU."""

LEAST_ELSEWHERE = 1 << 28
"""The same on other devices, by estimate and not measured: a product that waits costs some 40 us of Python a step, and
saves one product of the rows and one addition to the weights' gradient."""


class TorchOperations(Backend):
    """Steps through time by a script of the step.

    Args:
        step: a recorded one.
        invariants: the numbers of the tensors that it takes as invariants.
        defer: whether each matrix gets its gradient in one product over all steps.
    """

    name = "torch"

    def __init__(self, step: RecordedStep, invariants: Sequence[int], defer: bool) -> None:
        self.invariants, self._defer = list(invariants), defer
        recording, split = step.recording, step.split
        # What a backend takes may come before what the recorded step reads, as a weight before its transpose.
        late = calls_for(split.once, split.invariants, frozenset(invariants))
        inputs = [*split.parts, *recording.states, *invariants]
        results = [recording.output, *recording.next_states]
        self._script = Script([*late, *split.core], recording, inputs, results, invariants)
        products = [call.args[-1] for call in split.core if call.name in ("mm.default", "addmm.default")]
        multiplied = {argument.number for argument in products if isinstance(argument, Ref)}
        self._products = [place for place, number in enumerate(invariants) if number in multiplied]
        """The places, among the invariants, of the matrices that rows are multiplied by."""
        self._elements = sum(torch.Size(recording.shapes[invariants[place]]).numel() for place in self._products)
        """Of these matrices together."""
        self._least = LEAST if step.device.type == "cpu" else LEAST_ELSEWHERE
        """Rows times elements from which on that beats the plain loop."""

    @classmethod
    def supports(cls, step: RecordedStep | None, device: torch.device, dtype: torch.dtype) -> str:
        """Return nothing: whatever can be recorded can be run."""
        return ""

    @classmethod
    def make(cls, step: RecordedStep) -> Backend | Refusal:
        """Write the script."""
        return cls(step, step.split.invariants, defer=True)

    def run(self, tensors: Tensors, timeline: Timeline) -> Results:
        """Step through time, one operation after the other."""
        parts, states, initial, invariants = tensors
        multiply: MatrixProduct = torch.mm
        if self._defer and torch.is_grad_enabled():
            multiply, invariants = deferring(invariants, self._products)
        running = None if timeline.lengths is None else rnnkit.running_rows(timeline.lengths, timeline.steps)
        state = tuple(states)
        slices = [part.unbind(0) for part in parts]
        ys = []
        for t in range(timeline.steps):
            before = state
            if timeline.reset is not None:
                state = rnnkit.choose_rows(timeline.reset[t], initial, state)
            at_t = (part[t] for part in slices)
            y, *after = self._script(timeline.batch, *at_t, *state, *invariants, multiply=multiply)
            state = tuple(after)
            if running is not None:
                y, state = rnnkit.hold_ended(running[t], y, state, before)
            ys.append(y)
        return torch.stack(ys), tuple(tensor.clone() for tensor in state)  # free to be written over

    def explain(self) -> Iterator[str]:
        """Say what is deferred, and print the step."""
        yield f"deferred to one product over all steps: the gradients of {len(self._products)} matrices"
        yield "the step:"
        yield self._script.text

    def is_worth_it(self, batch: int) -> bool:
        """Tell whether the products are large enough for their deferred gradients to pay."""
        return batch * self._elements >= self._least
