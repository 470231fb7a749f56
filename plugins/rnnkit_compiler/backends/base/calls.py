"""Calls of a recurrence, and the passes that are prepared for them."""

from collections.abc import Hashable, Sequence

from torch import Tensor

from rnnkit_compiler._cache import Cache
from rnnkit_compiler.backends.base.backend import Results, Tensors, Timeline
from rnnkit_compiler.backends.base.backward_pass import BackwardPass, Incoming
from rnnkit_compiler.backends.base.forward_pass import ForwardPass, Kept
from rnnkit_compiler.backends.base.passes import NOTHING, Foreknown, Sample
from rnnkit_compiler.backends.base.recurrence import MOST_FORMS, Recurrence
from rnnkit_compiler.backends.base.runtime import Unfit


class Calls:
    """Calls of a recurrence, by form.

    Args:
        recurrence: the step.
        foreknown: of the invariants of each call.
        free: calls of which nothing is known beforehand; None: these.
    """

    def __init__(self, recurrence: Recurrence, foreknown: Foreknown = NOTHING, free: "Calls | None" = None) -> None:
        self.recurrence, self.free, self._foreknown = recurrence, free or self, foreknown
        self._moving = [place for place in recurrence.of_matrix if place not in foreknown.fixed]
        self._forward: Cache[ForwardPass] = Cache(MOST_FORMS)
        self._backward: Cache[BackwardPass] = Cache(MOST_FORMS)

    @property
    def are_free(self) -> bool:
        """Whether nothing is known beforehand."""
        return self.free is self

    def lasting(self, foreknown: Foreknown) -> "Calls":
        """Return calls of which something is known beforehand."""
        return Calls(self.recurrence, foreknown, self)

    def summed(self, tensors: Tensors) -> Tensors:
        """Return the tensors of such a call as those of a free one."""
        count = self.recurrence.invariants
        invariants, addends = [*tensors.invariants[:count]], tensors.invariants[count:]
        for place, addend in zip(self._foreknown.added, addends, strict=True):
            invariants[place] = invariants[place] + addend
        return tensors._replace(invariants=invariants)

    def run(self, tensors: Tensors, timeline: Timeline) -> Results:
        """Run the steps with torch's operations."""
        return self.recurrence.in_kernels_form.run(self.summed(tensors), timeline)

    def check_addresses(self, tensors: Sequence[Tensor]) -> None:
        """Check that the invariants of a call still lie where they are known to.

        Args:
            tensors: its parts, states, initial states and invariants.

        Raises:
            Unfit: the storage of one has moved, as it does when it is shared with other processes, or resized.
        """
        first = self._first_invariant(tensors)
        for place, address in self._foreknown.fixed.items():
            if tensors[first + place].data_ptr() != address:
                raise Unfit("a weight has moved")

    def forward(self, timeline: Timeline, tensors: Sequence[Tensor], training: bool) -> ForwardPass:
        """Return the forward pass of calls like this one, prepared by now or not.

        Args:
            timeline: of the call.
            tensors: its parts, states, initial states and invariants.
            training: keep what backward reads.

        Raises:
            Unfit: a kernel cannot be had, or may not touch what is fixed.
        """
        form = (training, *self._form(timeline, tensors))
        return self._forward.get(form, lambda: ForwardPass(self._sample(timeline, tensors), training))

    def backward(self, timeline: Timeline, tensors: Sequence[Tensor], kept: Kept, incoming: Incoming) -> BackwardPass:
        """Return the backward pass of calls like this one; see `forward`.

        Args:
            timeline: of the call.
            tensors: its parts, states, initial states and invariants.
            kept: by the forward pass.
            incoming: what else it is given.
        """
        absent = [grad is None for grad in incoming.grads]
        form = (*incoming.needs, incoming.again, *absent, *self._form(timeline, tensors))
        return self._backward.get(form, lambda: BackwardPass(self._sample(timeline, tensors), kept, incoming))

    def _sample(self, timeline: Timeline, tensors: Sequence[Tensor]) -> Sample:
        return Sample(self.recurrence, timeline, tensors, self._foreknown)

    def _form(self, timeline: Timeline, tensors: Sequence[Tensor]) -> tuple[Hashable, ...]:
        """Return what calls have in common that a pass is prepared for."""
        steps, batch, lengths, _, reset = timeline
        first = self._first_invariant(tensors)
        strides = [tensors[first + place].stride() for place in self._moving]
        return (steps, batch, lengths is None, reset is None, self.recurrence.shares(steps, batch), *strides)

    def _first_invariant(self, tensors: Sequence[Tensor]) -> int:
        return len(tensors) - self.recurrence.invariants - len(self._foreknown.added)
