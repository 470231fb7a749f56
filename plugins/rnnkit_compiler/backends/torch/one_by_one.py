"""Steps one after the other, and in each one operation of torch's after the other."""

from collections.abc import Sequence

import torch

import rnnkit
from rnnkit_compiler.backends.base.backend import Results, Tensors, Timeline
from rnnkit_compiler.backends.torch.deferred import deferring
from rnnkit_compiler.trace.script import MatrixProduct, Script


class OneByOne:
    """Steps through time by a script of the step.

    Args:
        script: of parts, states and invariants.
        deferred: the places, among the invariants, of the matrices whose gradients wait for one product over all steps.
    """

    def __init__(self, script: Script, deferred: Sequence[int]) -> None:
        self._script, self._deferred = script, deferred

    def run(self, tensors: Tensors, timeline: Timeline) -> Results:
        """Step through time."""
        parts, states, initial, invariants = tensors
        multiply: MatrixProduct = torch.mm
        if self._deferred and torch.is_grad_enabled():
            multiply, invariants = deferring(invariants, self._deferred)
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
