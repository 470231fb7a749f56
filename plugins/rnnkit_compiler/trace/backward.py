"""A value whose gradient is what other calls of the recording make of the gradient that comes back to it.

These calls begin with what stands for that gradient, and are made in no step: where the recording is run, they are a
function of their own, for autograd; where it is lowered, they become a part of the derivative.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnkit_compiler.trace.instead import Operator
from rnnkit_compiler.trace.recording import Call

NAME, ONCE = "rnnkit::with_backward", "rnnkit::with_backward_once"

GRADIENT = "rnnkit::gradient_of"

ARGUMENTS = "Tensor value, Tensor gradient, Tensor[] sources, Tensor[] gradients"


def _value(value: Tensor, *others: Any) -> Tensor:
    return value.clone()


with_backward = Operator(f"{NAME}({ARGUMENTS})", _value, ())
"""Returns `value`. Its `gradient`, from which calls have made `gradients`, goes to `sources` as these."""

with_backward_once = Operator(f"{ONCE}({ARGUMENTS})", _value, ())
"""The same with a gradient that has none, which torch says."""

gradient_of = Operator(f"{GRADIENT}(int rows, Tensor value, Tensor[] sources)", lambda rows, value, sources: value, ())
"""Stands for the gradient of `value`; `rows` is the batch's number."""


def example_of(value: Tensor, sources: Sequence[Tensor], rows: int) -> Tensor:
    """Return a gradient to try a backward on: a row's numbers differ from another's, and do not depend on the others.

    Args:
        value: whose gradient it is.
        sources: what the value was made of.
        rows: of the batch.
    """
    axis = _batch(value, rows)
    if axis is None:
        return torch.arange(value.numel(), device="cpu").cos().view(value.shape).to(value)
    level = sum(_levels(tensor, rows) for tensor in (value, *sources))
    features = [size for k, size in enumerate(value.shape) if k != axis]
    each = torch.arange(prod(features), dtype=torch.float64, device="cpu")
    return (level + each).cos().view(rows, *features).movedim(0, axis).to(value).contiguous()


def _levels(tensor: Tensor, rows: int) -> Tensor:
    """Return a number for each row of a tensor, (rows, 1); zeros where it has none."""
    axis = _batch(tensor, rows)
    if axis is None:
        return torch.zeros(rows, 1, dtype=torch.float64, device="cpu")
    real = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    return real.detach().to("cpu", torch.float64).nan_to_num().movedim(axis, 0).reshape(rows, -1).sum(1, keepdim=True)


def _batch(tensor: Tensor, rows: int) -> int | None:
    return next((axis for axis, size in enumerate(tensor.shape) if size == rows), None)


def is_backward(call: Call) -> bool:
    """Tell whether a call gives a value whose gradient other calls make."""
    return call.base_name in (NAME, ONCE)


def members(calls: Sequence[Call]) -> dict[int, list[Call]]:
    """Return, by the number of each value whose gradient other calls make, these calls."""
    found = {}
    for place, call in enumerate(calls):
        if is_backward(call):
            made, own = {call.arguments["gradient"].number}, []
            for other in calls[:place]:
                if made.intersection((*other.reads, *other.outputs)):
                    own.append(other)
                    made.update(number for number in other.outputs if number is not None)
            found[call.output] = own
    return found


def without(calls: Sequence[Call], each: dict[int, list[Call]]) -> list[Call]:
    """Return the calls that are none of these."""
    inner = {call.output for own in each.values() for call in own}
    return [call for call in calls if call.output not in inner]


def inner_of(call: Call, own: Sequence[Call]) -> list[Call]:
    """Return the calls that make gradients, without what stands for the gradient that they begin with."""
    return [other for other in own if call.arguments["gradient"].number not in other.outputs]


def reads_of(call: Call, own: Sequence[Call]) -> list[int]:
    """Return what the calls that make the gradients of a value read, beside its gradient."""
    inner = inner_of(call, own)
    made = {number for other in inner for number in other.outputs} | {call.arguments["gradient"].number}
    wanted = [ref.number for ref in call.arguments["gradients"]]
    read = [number for other in inner for number in other.reads]
    return [number for number in dict.fromkeys((*read, *wanted)) if number not in made]


def all_reads(call: Call, own: Sequence[Call]) -> list[int]:
    """Return what a call reads for its value and for the gradients of that."""
    given = call.arguments
    return [given["value"].number, *(ref.number for ref in given["sources"]), *reads_of(call, own)]


Run = Callable[..., tuple[Tensor, ...]]


def applied(call: Call, run: Run, rows: int, value: Tensor, sources: list[Tensor], reads: list[Tensor]) -> Tensor:
    """Return a value whose gradient goes to sources.

    Args:
        call: that gives the value.
        run: makes the gradients of the sources, from the number of rows, what it reads and the gradient.
        rows: of the batch.
        value: whose gradient it is.
        sources: that get one.
        reads: what `run` reads.
    """
    function = _Backward if call.base_name == NAME else _BackwardOnce
    result: Tensor = function.apply(partial(run, rows), value, len(sources), *sources, *reads)  # type: ignore[no-untyped-call]
    return result


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, run: Run, value: Tensor, count: int, *tensors: Tensor) -> Tensor:
        ctx.run, ctx.count = run, count
        ctx.save_for_backward(*tensors[count:])
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        made = ctx.run(*ctx.saved_tensors, grad)
        return None, None, None, *made, *(None for _ in ctx.saved_tensors)


class _BackwardOnce(_Backward):
    backward = staticmethod(once_differentiable(_Backward.backward))  # type: ignore[assignment]
