"""What a `torch.autograd.Function` written in Python gives: its forward's value, with the gradient of its backward.

Of an element of the result the gradient goes to the same element of an operand, times a slope, as in the surrogate
gradients of spiking networks, straight-through estimators and reversed gradients. The slopes are what backward makes of
ones, by operations each of which multiplies, adds such, or leaves out what a mask says.
"""

from collections.abc import Sequence, Set
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnkit_compiler.trace.instead import Operator
from rnnkit_compiler.trace.recordable import listed
from rnnkit_compiler.trace.recording import FILLED, Call, NotRecordable, Recording, Ref

NAME = "rnnkit::sloped"

ONCE = "rnnkit::sloped_once"

PASSING = frozenset(("mul", "neg", "view", "_unsafe_view", "clone", "alias", "detach", "_to_copy"))
"""What may multiply each element of a gradient by a number, or leave it."""

COPIES = frozenset(("detach", "alias", "clone", "expand", "_to_copy"))


class _Sloped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, source: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, None]:
        (slope,) = ctx.saved_tensors
        return None, grad * slope, None


class _SlopedOnce(_Sloped):
    backward = staticmethod(once_differentiable(_Sloped.backward))  # type: ignore[assignment]


sloped = Operator(f"{NAME}(Tensor value, Tensor source, Tensor slope)", _Sloped.apply)
"""Returns `value`, whose gradient goes to `source`, times `slope`."""

sloped_once = Operator(f"{ONCE}(Tensor value, Tensor source, Tensor slope)", _SlopedOnce.apply)
"""The same with a gradient that has none, which torch says."""


def operator_of(node: Any) -> Operator:
    """Return the operator that stands for a Function."""
    return sloped_once if is_once(node) else sloped


def is_once(node: Any) -> bool:
    """Tell whether the gradient of a Function has none."""
    backward = node._forward_cls.backward
    return bool(backward.__code__.co_filename == torch.autograd.function.__file__)


def function_of(tensor: Tensor) -> Any:
    """Return the node of the Function that gave a tensor; None: another operation did."""
    node = tensor.grad_fn
    return node if isinstance(node, torch._C._FunctionBase) else None


def operands_of(node: Any, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return those operands of a Function that get a gradient, of the tensors that are known.

    Raises:
        NotRecordable: one is not known.
    """
    edges = [(function, place) for function, place in node.next_functions if function is not None]
    found = [next((t for t in reversed(tensors) if _is_at(t, *edge)), None) for edge in edges]
    if not found or any(tensor is None for tensor in found):
        raise NotRecordable(refusal(node, "of tensors that no operation gave it"))
    return [tensor for tensor in found if tensor is not None]


def _is_at(tensor: Tensor, function: Any, place: int) -> bool:
    if tensor.grad_fn is None:
        return getattr(function, "variable", None) is tensor
    return tensor.grad_fn is function and tensor.output_nr == place


def gradients_of(node: Any, operands: Sequence[Tensor], gradient: Tensor, is_alike: bool) -> list[Tensor]:
    """Return what backward makes of a gradient, for each operand.

    Args:
        node: of the Function.
        operands: that get a gradient.
        gradient: that backward is given.
        is_alike: whether they all have to be of its shape.

    Raises:
        NotRecordable: it takes more gradients than one, or gives some of another shape.
    """
    try:
        made = listed(node._forward_cls.backward(node, gradient))
    except TypeError:
        raise NotRecordable(refusal(node, "of several results")) from None
    wanted = [each for each, needed in zip(made, node.needs_input_grad, strict=False) if needed]
    whole = len(wanted) == len(operands) and all(
        isinstance(each, Tensor) and each.shape == operand.shape and (operand.shape == gradient.shape or not is_alike)
        for each, operand in zip(wanted, operands, strict=True)
    )
    if not whole:
        raise NotRecordable(refusal(node, "whose gradient has not the shape of what it was given"))
    return wanted


def check_slopes(
    node: Any, recording: Recording, start: int, gradient: int, slopes: Sequence[int], has_second: bool
) -> None:
    """Raise NotRecordable unless backward multiplies each element of a gradient by what the gradient does not decide.

    Args:
        node: of the Function.
        recording: in which its backward was noted.
        start: the first call of that.
        gradient: the number of the gradient that backward was given.
        slopes: the numbers of what it has made of that.
        has_second: whether that had a gradient itself, which ends where it is detached.
    """
    made = {gradient}
    for call in recording.calls[start:]:
        if call.base_name in FILLED or not made.intersection(call.reads):
            continue
        if has_second and call.base_name == "detach":
            continue
        if not _is_slope(recording, call, made):
            raise NotRecordable(refusal(node))
        made.update(number for number in call.outputs if number is not None)
    if not made.issuperset(slopes):
        raise NotRecordable(refusal(node))


def _is_slope(recording: Recording, call: Call, made: Set[int]) -> bool:
    """Tell whether a call multiplies what is made of a gradient, element by element, by what is not made of it."""
    name, given, shapes = call.base_name, call.arguments, recording.shapes
    is_one = sum(number in made for number in call.reads) == 1

    def is_made(word: str) -> bool:
        return isinstance(given[word], Ref) and given[word].number in made

    if name in ("add", "sub"):
        return is_made("self") and is_made("other") and len({shapes[number] for number in call.reads}) == 1
    if name == "where":
        return not is_made("condition") and all(
            is_made(word) or is_zero(recording, given[word]) for word in ("self", "other")
        )
    if name == "div":
        return is_one and is_made("self") and not given.get("rounding_mode")
    if name == "masked_fill":
        return is_one and is_made("self") and is_zero(recording, given["value"])
    if name == "index_put":
        return is_one and is_made("self") and not given["accumulate"] and is_zero(recording, given["values"])
    return name in PASSING and is_one


def is_zero(recording: Recording, value: Any) -> bool:
    """Tell whether an argument is known to be zero everywhere."""
    if not isinstance(value, Ref):
        return bool(value == 0)
    constant = recording.constants.get(value.number)
    if constant is not None:
        return not bool(constant.any())
    call = next((call for call in recording.calls if value.number in call.outputs), None)
    if call is None:
        return False
    if call.base_name in COPIES:
        return is_zero(recording, call.args[0])
    literal = call.arguments.get("s", call.arguments.get("fill_value"))
    return call.base_name in ("zeros", "zeros_like", "new_zeros") or (isinstance(literal, int | float) and literal == 0)


def refusal(node: Any, why: str = "whose gradient is not linear in the one that it is given") -> str:
    """Say that a step applies a Function that cannot be recorded."""
    return f"step() applies {type(node).__name__.removesuffix('Backward')}, an autograd.Function {why}"
