"""Degrees: whether an element is linear in some tensors of the state, whatever their values are."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from rnnkit_compiler.structure.flow import ROWS, Flow, joined
from rnnkit_compiler.structure.kinds import Kind, kind_of
from rnnkit_compiler.trace.recording import Call, Recording, calls_for

CONSTANT, LINEAR, NONLINEAR = 0, 1, 2

SUMS = frozenset(("add", "sub", "rsub", "neg", "sum", "mean", "cumsum", "positive"))
"""What is linear in all operands together."""

LINEAR_IN = {
    "mul": (("self",), ("other",)),
    "div": (("self",), ()),
    "where": (("self", "other"), ()),
    "masked_fill": (("self", "value"), ()),
    "lerp": (("self", "end"), ("weight",)),
    "addcmul": (("self",), ("tensor1",), ("tensor2",)),
    "addcdiv": (("self", "tensor1"), ()),
}
"""Pointwise operations that are linear in some operands as long as the others do not depend on the state.

By name: groups of arguments. An argument outside of all groups must not depend on the state.
"""

CUTS = "detach"
"""What hides a dependence from the gradient, so that the Jacobian is not what autograd says."""


class Degrees(Flow):
    """Carries degrees through a recording: 0 where the state is not depended on, 1 where linearly, 2 else.

    Args:
        recording: of a step.
        sources: the state tensors that are asked about, by number; others count as given.
    """

    def __init__(self, recording: Recording, sources: Sequence[int]) -> None:
        given = {
            number: torch.full((ROWS, *recording.shapes[number][1:], 1), LINEAR, device="cpu") for number in sources
        }
        super().__init__(recording, given, torch.tensor([CONSTANT], device="cpu"))
        self.culprits: list[Call] = []
        """Those that made something nonlinear of what was linear, first to last."""

    def through(self, call: Call) -> list[Tensor]:
        """Return the degrees of the results of a call, and note it if it is not linear."""
        degrees = super().through(call)
        before = max((int(self.of(number).amax()) for number in call.reads if prod(self.shape(number))), default=0)
        if before == CONSTANT or kind_of(call) is Kind.FRESH:
            return degrees
        after = [self._raised(call, marks) for marks in degrees]
        if before == LINEAR and any(bool((marks == NONLINEAR).any()) for marks in after):
            self.culprits.append(call)
        return after

    def _raised(self, call: Call, marks: Tensor) -> Tensor:
        """Return the degrees of a result, given what its elements are made of at most."""
        name, kind = call.base_name, kind_of(call)
        if name in SUMS or (kind is Kind.MOVE and name != CUTS and self._stays_a_number(call)):
            return marks
        if kind is Kind.PRODUCT:
            _, left, right = self.factors(call)
            return torch.maximum(marks, _of_product(left, right))
        if name in LINEAR_IN:
            return torch.maximum(marks, self._of_groups(call))
        return torch.where(marks == CONSTANT, CONSTANT, NONLINEAR)

    def _stays_a_number(self, call: Call) -> bool:
        """Tell whether a conversion, if it is one, is to a floating-point type."""
        return all(number is None or self.recording.dtypes[number].is_floating_point for number in call.outputs)

    def _of_groups(self, call: Call) -> Tensor:
        """Return 2 where more than one factor, or what may not depend on the state, does so."""
        groups, given = LINEAR_IN[call.base_name], call.arguments
        grouped = {name for group in groups for name in group}
        if given.get("rounding_mode") is not None:
            groups, grouped = (), set()
        degrees = [joined([self.operand(given[name]) for name in group]) for group in groups if group]
        if call.base_name == "addcmul":  # the first is added, the others are multiplied
            degrees = degrees[1:]
        others = [self.operand(value) for name, value in given.items() if name not in grouped]
        bad = _of_product(*degrees) if len(degrees) == 2 else self.nothing
        ruled_out = [torch.where(other == CONSTANT, CONSTANT, NONLINEAR) for other in others]
        return joined([bad, *ruled_out])


def _of_product(one: Tensor, other: Tensor) -> Tensor:
    """Return 2 where both factors depend on the state, else 0."""
    both = torch.minimum(*_aligned(one, other))
    return torch.where(both == CONSTANT, CONSTANT, NONLINEAR)


def _aligned(one: Tensor, other: Tensor) -> list[Tensor]:
    rank = max(one.ndim, other.ndim)
    return [marks.reshape(*[1] * (rank - marks.ndim), *marks.shape) for marks in (one, other)]


def degrees_of(recording: Recording, sources: Sequence[int], wanted: Sequence[int]) -> Degrees:
    """Carry degrees from some state tensors to what is wanted."""
    degrees = Degrees(recording, sources)
    degrees.run(calls_for(recording.calls, list(wanted)))
    return degrees
