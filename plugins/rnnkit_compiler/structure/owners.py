"""Owners: which unit of the state each element of a parameter acts on at once, looking from the new state back."""

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor

from rnnkit_compiler.structure.flow import Flow, joined
from rnnkit_compiler.structure.kinds import PRODUCTS, Kind, kind_of
from rnnkit_compiler.structure.spans import FAR, own_numbers
from rnnkit_compiler.trace.recording import Call, Recording, Ref, calls_for

NOBODY, SEVERAL = -1, -2
"""Of an element that acts on no unit within the step, and of one that acts on several."""


class Owners(Flow):
    """Carries the numbers of units from the new states back to what they are made of.

    A mark is the pair of `Spans`. Each rule is that of `Flow` turned round: what is made of an element hands it its
    mark.
    """

    def __init__(self, recording: Recording) -> None:
        super().__init__(recording, {}, torch.tensor([-FAR, -1], dtype=torch.int64, device="cpu"))
        for number in recording.next_states:
            self._add(number, own_numbers(recording, number, 0, 1))

    def back(self) -> None:
        """Carry the marks through all calls that the new states depend on, last to first."""
        for call in reversed(calls_for(self.recording.calls, self.recording.next_states)):
            self._hand_back(call)

    def owners(self, number: int) -> Tensor:
        """Return the unit of each element of a tensor, or NOBODY or SEVERAL."""
        marks = self.of(number)
        least, greatest = -marks[..., 0], marks[..., 1]
        alone = torch.where(least == greatest, least, SEVERAL)
        return torch.where(least > greatest, NOBODY, alone)

    def _hand_back(self, call: Call) -> None:
        outputs = [number for number in call.outputs if number is not None and number in self.marks]
        if not outputs:
            return
        kind = kind_of(call)
        if kind is Kind.MOVE:
            self._move_back(call)
        elif kind is Kind.PRODUCT:
            self._factors_back(call)
        elif kind is Kind.POINTWISE and len(call.outputs) == 1:
            for number in call.reads:
                self._add(number, self._narrowed(self.of(outputs[0]), self.shape(number)))
        elif kind is not Kind.FRESH:
            mark = torch.cat([self.of(number).reshape(-1, 2) for number in outputs]).amax(0)
            for number in call.reads:
                self._add(number, mark.expand(*self.shape(number), 2))

    def _move_back(self, call: Call) -> None:
        result, starts = self.moved_numbers(call)
        gathered = self.nothing.repeat(1 + sum(prod(self.shape(number)) for number in starts), 1)
        for number, places in zip(call.outputs, result, strict=True):
            if number is not None:
                at = places.reshape(-1, 1).expand(-1, 2)
                gathered.scatter_reduce_(0, at, self.of(number).reshape(-1, 2), "amax")
        for number, start in starts.items():
            marks = gathered[start : start + prod(self.shape(number))]
            self._add(number, marks.view(*self.shape(number), 2))

    def _factors_back(self, call: Call) -> None:
        names, given = PRODUCTS[call.base_name], call.arguments
        marks = self.of(call.output)
        added, one, other = (given[name] if name is not None else None for name in names)
        if isinstance(added, Ref):
            self._add(added.number, self._narrowed(marks, self.shape(added.number)))
        assert isinstance(other, Ref)  # a matrix is no number
        vector = len(self.shape(other.number)) == 1
        left = marks.unsqueeze(-2) if vector else marks.amax(-2, keepdim=True)
        right = marks.reshape(-1, 2).amax(0) if vector else marks.amax(-3, keepdim=True)
        for ref, spread in ((one, left), (other, right)):
            if isinstance(ref, Ref):
                self._add(ref.number, spread.expand(*self.shape(ref.number), 2))

    def _narrowed(self, marks: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Join the marks of a result along what an operand of this shape was repeated along."""
        rank = marks.ndim - 1
        aligned = (1,) * (rank - len(shape)) + shape
        repeated = [d for d in range(rank) if aligned[d] == 1 and marks.shape[d] != 1]
        return (marks.amax(repeated, keepdim=True) if repeated else marks).reshape(*shape, 2)

    def _add(self, number: int, marks: Tensor) -> None:
        self.marks[number] = joined([self.marks[number], marks]) if number in self.marks else marks


def owners_of(recording: Recording) -> Mapping[str, Tensor]:
    """Return the unit on which each element of each parameter and buffer acts within a recorded step, by path."""
    owners = Owners(recording)
    owners.back()
    return {path: owners.owners(number) for path, number in recording.weights.items()}
