"""Calls of a recurrence, and the passes that are prepared for them."""

from collections.abc import Hashable, Mapping, Sequence

from torch import Tensor

from rnnkit_compiler._cache import Cache
from rnnkit_compiler.backends.base.backend import Timeline
from rnnkit_compiler.backends.base.backward_pass import BackwardPass, Incoming
from rnnkit_compiler.backends.base.forward_pass import ForwardPass, Kept
from rnnkit_compiler.backends.base.recurrence import MOST_FORMS, Recurrence


class Calls:
    """Calls of a recurrence, by form.

    Args:
        recurrence: the step.
        fixed: by their places, the addresses of invariants that lie there in all calls, as kernels read them.
        free: calls of which that does not hold; None: none is fixed.
    """

    def __init__(
        self, recurrence: Recurrence, fixed: Mapping[int, int] | None = None, free: "Calls | None" = None
    ) -> None:
        self.recurrence, self.free = recurrence, free or self
        self._fixed = fixed or {}
        self._moving = [place for place in recurrence.of_matrix if place not in self._fixed]
        self._forward: Cache[ForwardPass] = Cache(MOST_FORMS)
        self._backward: Cache[BackwardPass] = Cache(MOST_FORMS)

    @property
    def are_free(self) -> bool:
        """Whether any tensor may be another one in each call."""
        return self.free is self

    def with_fixed(self, addresses: Mapping[int, int]) -> "Calls":
        """Return calls with invariants, by their places, that always lie at these addresses."""
        return Calls(self.recurrence, addresses, self)

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
        return self._forward.get(form, lambda: ForwardPass(self.recurrence, timeline, tensors, training, self._fixed))

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
        return self._backward.get(
            form, lambda: BackwardPass(self.recurrence, timeline, tensors, kept, incoming, self._fixed)
        )

    def _form(self, timeline: Timeline, tensors: Sequence[Tensor]) -> tuple[Hashable, ...]:
        """Return what calls have in common that a pass is prepared for."""
        steps, batch, lengths, _, reset = timeline
        first = len(tensors) - self.recurrence.invariants
        strides = [tensors[first + place].stride() for place in self._moving]
        return (steps, batch, lengths is None, reset is None, self.recurrence.shares(steps, batch), *strides)
