"""Which invariants of a step come from outside, and how the others follow from these."""

from collections.abc import Sequence

from torch import Tensor

from rnnkit_compiler.backends.base.backend import RecordedStep
from rnnkit_compiler.trace.recording import calls_for
from rnnkit_compiler.trace.script import Script


class Origins:
    """The invariants that come from outside: gradients with respect to them are the same whatever runs a step.

    They need not be so for the others, as a kernel reads the real part of a complex invariant, or the matrix of a
    Fourier transform, where torch's operations read the complex one, or no matrix at all.

    Args:
        step: a recorded one.
        invariants: the numbers of the tensors that it takes as invariants.
    """

    def __init__(self, step: RecordedStep, invariants: Sequence[int]) -> None:
        recording, once = step.recording, step.split.once
        known, made = {*invariants, *recording.constants}, {*recording.constants}
        for call in once:
            if known.issuperset(call.reads):
                outputs = {number for number in call.outputs if number is not None}
                known |= outputs
                made |= outputs
        outside = [number for number in invariants if number not in made]
        self._places = [invariants.index(number) for number in outside]
        self._script = Script(calls_for(once, [*invariants], frozenset(outside)), recording, outside, invariants)

    def among(self, invariants: Sequence[Tensor]) -> list[Tensor]:
        """Return those of all invariants that come from outside."""
        return [invariants[place] for place in self._places]

    def completed(self, origins: Sequence[Tensor]) -> list[Tensor]:
        """Return all invariants, of those that come from outside."""
        return [*self._script(0, *origins)]
