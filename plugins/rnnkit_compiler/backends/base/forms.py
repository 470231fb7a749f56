"""The forms of states, parts and outputs: a kernel has real numbers alone, of one dtype.

Integers and booleans are real numbers there, and complex ones a row of real parts before a row of imaginary ones.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.backend import RecordedStep, Results, Tensors, Timeline
from rnnkit_compiler.ir.lowered import Lowered
from rnnkit_compiler.ir.whole_numbers import INTEGERS

EXACT = {torch.float16: 2.0**11, torch.bfloat16: 2.0**8, torch.float32: 2.0**24, torch.float64: 2.0**53}
"""Up to which every integer is a number of the dtype."""

STATE, SEQUENCE = 1, 2
"""How many dimensions, of the batch and of time, are before the features."""


def to_kernel(tensor: Tensor, before: int, real: torch.dtype) -> Tensor:
    """Return a tensor in the kernel's form."""
    if tensor.is_complex():
        return torch.stack([tensor.real, tensor.imag], before)
    return tensor.to(real)


def from_kernel(tensor: Tensor, before: int, dtype: torch.dtype) -> Tensor:
    """Return a tensor of a dtype from the kernel's form."""
    if dtype.is_complex:
        return torch.complex(*tensor.unbind(before))
    return tensor.ne(0) if dtype == torch.bool else tensor.to(dtype)


class Steps(Protocol):
    """What runs steps."""

    def run(self, tensors: Tensors, timeline: Timeline) -> Results:
        """Step through time."""


class Forms:
    """The dtypes of a step's states, parts and output.

    Args:
        step: one that is lowered.
    """

    def __init__(self, step: RecordedStep) -> None:
        lowered, recording = step.lowered, step.recording
        assert isinstance(lowered, Lowered)
        self.real, self._growth = lowered.dtype, lowered.growth
        dtypes = recording.dtypes
        self.states = [dtypes[number] for number in recording.states]
        self.parts = [dtypes[number] for number in step.split.parts]
        self.output = dtypes[recording.output]
        self._invariants = [k for k, number in enumerate(lowered.invariants) if dtypes[number] in INTEGERS]
        divisors, finite = ((), ()) if lowered.growth is None else (lowered.growth.divisors, lowered.growth.finite)
        self._divisors = [k for k, number in enumerate(lowered.invariants) if number in divisors]
        self._finite = [k for k, number in enumerate(lowered.invariants) if number in finite]

    @property
    def are_plain(self) -> bool:
        """Whether all tensors are as a kernel has them."""
        return {self.output, *self.states, *self.parts} == {self.real} and self._growth is None

    def fit(self, tensors: Tensors, timeline: Timeline) -> bool:
        """Tell whether a kernel has the numbers of the integers: none can become so large that it would be rounded.

        Nor is one divided by 0, or units taken by one that is out of range, which are errors of torch's; nor does an
        infinity stand in a table whose rows are chosen by a product.
        """
        if self._growth is None:
            return True
        for place, (least, most) in self._growth.states.items():
            for states in filter(None, (tensors.states, tensors.initial)):
                state = states[place]
                if bool((state < least).any()) or bool((state > most).any()):
                    return False
        if not all(bool(tensors.invariants[k].isfinite().all()) for k in self._finite):
            return False
        given = [tensors.invariants[k] for k in self._invariants]
        given += [tensor for tensor in (*tensors.parts, *tensors.states, *tensors.initial) if _is_whole(tensor)]
        largest = max((float(tensor.abs().max()) for tensor in given if tensor.numel()), default=0.0)
        if any(not bool(tensors.invariants[k].all()) for k in self._divisors):
            return False
        return self._growth.largest(largest, timeline.steps) < min(EXACT[self.real], self._growth.limit + 1)

    def tensors_to_kernel(self, tensors: Tensors) -> Tensors:
        """Return what the steps work on in the kernel's form."""
        return Tensors(
            [to_kernel(tensor, SEQUENCE, self.real) if tensor.is_complex() else tensor for tensor in tensors.parts],
            [to_kernel(tensor, STATE, self.real) for tensor in tensors.states],
            [to_kernel(tensor, STATE, self.real) for tensor in tensors.initial],
            tensors.invariants,
        )

    def tensors_from_kernel(self, tensors: Tensors) -> Tensors:
        """Return what the steps work on in the step's own form."""
        parts = zip(tensors.parts, self.parts, strict=True)
        return Tensors(
            [from_kernel(part, SEQUENCE, dtype) if dtype.is_complex else part for part, dtype in parts],
            self._each(tensors.states, lambda tensor, dtype: from_kernel(tensor, STATE, dtype)),
            self._each(tensors.initial, lambda tensor, dtype: from_kernel(tensor, STATE, dtype)),
            tensors.invariants,
        )

    def results_to_kernel(self, results: Results) -> Results:
        """Return outputs and last states in the kernel's form."""
        ys, last = results
        return to_kernel(ys, SEQUENCE, self.real), tuple(to_kernel(tensor, STATE, self.real) for tensor in last)

    def results_from_kernel(self, results: Results) -> Results:
        """Return outputs and last states in the step's own form."""
        ys, last = results
        states = self._each(last, lambda tensor, dtype: from_kernel(tensor, STATE, dtype))
        return from_kernel(ys, SEQUENCE, self.output), tuple(states)

    def _each(self, states: Sequence[Tensor], form: Callable[[Tensor, torch.dtype], Tensor]) -> list[Tensor]:
        return [form(tensor, dtype) for tensor, dtype in zip(states, self.states, strict=False)]


def _is_whole(tensor: Tensor) -> bool:
    return not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)


class InKernelsForm:
    """Steps that are given, and give, what is in the kernel's form, though something runs them as they are."""

    def __init__(self, steps: Steps, forms: Forms) -> None:
        self._steps, self._forms = steps, forms

    def run(self, tensors: Tensors, timeline: Timeline) -> Results:
        """Step through time in the step's own form."""
        return self._forms.results_to_kernel(self._steps.run(self._forms.tensors_from_kernel(tensors), timeline))
