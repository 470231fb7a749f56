"""The trial: all that is compared of what two ways make of a small random batch."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.backend import Results, Tensors, Timeline

STEPS, BATCH = 3, 18
"""Of the batch, which has more rows than a program."""

LOW = (torch.bfloat16, torch.float16)

Run = Callable[[Tensors, Timeline], Results]


class Made(NamedTuple):
    """What a way makes of a batch."""

    outputs: list[Tensor]
    states: list[Tensor]
    gradients: list[Tensor]

    @property
    def all(self) -> list[Tensor]:
        """All of it, in an order of its own."""
        return [*self.outputs, *self.states, *self.gradients]

    @property
    def proves_nothing(self) -> bool:
        """Whether what is finite of the outputs of a call, or of all gradients, is no more than zeros beside the rest.

        Of rows that have ended both are zero.
        """
        return any(_is_vain([ys]) for ys in self.outputs) or _is_vain(self.gradients)


def _is_vain(tensors: Sequence[Tensor]) -> bool:
    finite = [tensor.isfinite() for tensor in tensors]
    tells = any(bool((tensor[where] != 0).any()) for tensor, where in zip(tensors, finite, strict=True))
    return not tells and not all(bool(where.all()) for where in finite)


def everything(run: Run, tensors: Tensors, timeline: Timeline) -> Made:
    """Return outputs, last states and gradients: with lengths and resets, and plain; and outputs of inference."""
    plain = Timeline(STEPS, BATCH, None, None, None)
    made = Made([], [], [])
    for given, when in ((tensors, timeline), (tensors._replace(initial=()), plain)):
        ys, last = run(given, when)
        results = [ys, *last]
        made.outputs.append(ys.detach())
        made.states.extend(state.detach() for state in last)
        weighed = [tensor.abs().sum() if tensor.is_complex() else (tensor * tensor).sum() for tensor in results]
        loss = sum(weight for weight in weighed if weight.requires_grad)
        wanted = [t for group in given for t in group if t.requires_grad]
        if wanted and isinstance(loss, Tensor):
            gradients = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
            made.gradients.extend(_as_computed(gradient, last[0].dtype) for gradient in gradients)
    with torch.no_grad():
        ys, last = run(tensors, timeline)
    made.outputs.append(ys)
    made.states.extend(last)
    return made


def _as_computed(gradient: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the gradient of a number wider than the states as what it is computed in, whose digits it has."""
    is_wider = gradient.is_floating_point() and dtype.is_floating_point and gradient.dtype.itemsize > dtype.itemsize
    return gradient.to(dtype) if is_wider else gradient


def has_numbers(tensor: Tensor) -> bool:
    """Tell real and complex numbers from whole ones and truth values."""
    return tensor.is_floating_point() or tensor.is_complex()


def is_low(tensors: Tensors) -> bool:
    """Tell whether numbers are kept in low precision."""
    return any(tensor.dtype in LOW for group in tensors for tensor in group)


def in_float32(run: Run) -> Run:
    """Return what computes in float32 and keeps states in low precision after each step, as kernels do.

    Where rounding decides, as about where a fraction begins again, operations that round one by one are far from it.
    """

    def run_in_float32(tensors: Tensors, timeline: Timeline) -> Results:
        dtypes = [state.dtype for state in tensors.states]
        wide = Tensors(*([*map(_wide, group)] for group in tensors))
        states, outputs = wide.states, []
        for t in range(timeline.steps):
            parts = [part[t : t + 1] for part in wide.parts]
            ys, states = run(wide._replace(parts=parts, states=states), timeline.between(t, t + 1))
            states = [_wide(state.to(dtype)) for state, dtype in zip(states, dtypes, strict=True)]
            outputs.append(ys)
        return torch.cat(outputs), tuple(states)

    return run_in_float32


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in LOW else tensor
