"""The plan run with torch's operations: on any device, with any operation, and differentiable as often as one likes."""

from collections.abc import Iterator, Sequence

import torch

from rnnkit_compiler.backends.base.backend import Backend, RecordedStep, Refusal, Results, Tensors, Timeline
from rnnkit_compiler.backends.torch.chunks import PlanChunks
from rnnkit_compiler.backends.torch.one_by_one import OneByOne
from rnnkit_compiler.trace.recording import Ref, calls_for
from rnnkit_compiler.trace.script import Script

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
        defer: whether each matrix gets its gradient in one product over all steps, and chunks of steps run in CUDA
            graphs where they can: else all is left to autograd, as often as one likes.
    """

    name = "torch"

    def __init__(self, step: RecordedStep, invariants: Sequence[int], defer: bool) -> None:
        self.invariants = list(invariants)
        recording, split = step.recording, step.split
        # What a backend takes may come before what the recorded step reads, as a weight before its transpose.
        late = calls_for(split.once, split.invariants, frozenset(invariants))
        inputs = [*split.parts, *recording.states, *invariants]
        results = [recording.output, *recording.next_states]
        script = Script([*late, *split.core], recording, inputs, results, invariants)
        products = [call.args[-1] for call in split.core if call.name in ("mm.default", "addmm.default")]
        multiplied = {argument.number for argument in products if isinstance(argument, Ref)}
        products_at = [place for place, number in enumerate(invariants) if number in multiplied]
        """The places, among the invariants, of the matrices that rows are multiplied by."""
        self._steps = OneByOne(script, products_at if defer else ())
        self._chunks = PlanChunks(self._steps) if defer else None
        self._script, self._deferred, self._device = script, len(products_at), step.device
        self._elements = sum(torch.Size(recording.shapes[invariants[place]]).numel() for place in products_at)
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
        """Step through time, one operation after the other, or chunks of steps as one."""
        in_chunks = None if self._chunks is None else self._chunks.run(tensors, timeline)
        return self._steps.run(tensors, timeline) if in_chunks is None else in_chunks

    def explain(self) -> Iterator[str]:
        """Say what is deferred, and print the step."""
        yield f"deferred to one product over all steps: the gradients of {self._deferred} matrices"
        if self._chunks is not None and self._device.type == "cuda":
            yield self._chunks.explain()
        yield "the step:"
        yield self._script.text

    def is_worth_it(self, steps: int, batch: int) -> bool:
        """Tell whether graphs run the steps, or products are large enough for their deferred gradients to pay."""
        in_graphs = self._chunks is not None and self._chunks.pay(steps, self._device)
        return in_graphs or batch * self._elements >= self._least
