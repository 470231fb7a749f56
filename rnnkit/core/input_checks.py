"""Checks of what is handed to a cell, a layer or an unroller, and of what a step returns: a sentence for each fault."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State, behaves_as_tensor, parameters_of, starting_state
from rnnkit.errors import KindError, ShapeError, first_line

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def casts_automatically(device: torch.device) -> bool:
    """Tell whether `torch.autocast` is in force for a device."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)


def describe(cell: Cell) -> str:
    """Name a cell in an error: its name and where its class stands."""
    kind = type(cell)
    return f"cell {getattr(kind, 'name', kind.__name__)!r} ({kind.__module__}.{kind.__qualname__})"


class Kind(NamedTuple):
    """What a tensor must be like."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


def plain_state(cell: Cell, batch: int, xs: Tensor) -> tuple[Kind, ...]:
    """Say what the zeros are like that a cell begins with by default, without making them."""
    like = next(chain(parameters_of(cell), cell.buffers()), xs)
    return tuple(Kind((batch, size), like.dtype, like.device) for size in cell.state_sizes)


def check_state(cell: Cell, state: object, like: Sequence[Tensor | Kind], what: str) -> None:
    """Raise ShapeError unless `state` has one tensor for each state name, shaped and typed as `like`."""
    names = cell.state_names
    if not isinstance(state, tuple):
        raise ShapeError(f"{describe(cell)}: the {what} is a {type(state).__name__}; it must be a tuple of tensors")
    if len(state) != len(names):
        raise ShapeError(f"{describe(cell)}: the {what} has {len(state)} tensors; state_names declares {names}")
    for name, tensor, expected in zip(names, state, like, strict=True):
        if not behaves_as_tensor(tensor):
            raise ShapeError(f"{describe(cell)}: {what} {name!r} is a {type(tensor).__name__}, not a tensor")
        if tensor.shape != expected.shape:
            raise ShapeError(
                f"{describe(cell)}: {what} {name!r} has shape {tuple(tensor.shape)}; it must be {tuple(expected.shape)}"
            )
        if tensor.dtype != expected.dtype and not casts_automatically(tensor.device):
            raise ShapeError(f"{describe(cell)}: {what} {name!r} is {tensor.dtype}; it must be {expected.dtype}")
        if tensor.device != expected.device:
            raise ShapeError(
                f"{describe(cell)}: {what} {name!r} is on {tensor.device}; it must be on {expected.device}"
            )


def checked_start(cell: Cell, batch: int, like: Tensor) -> State:
    """Return the cell's initial state; raises ShapeError if it made its own without a row for each of the batch."""
    state = starting_state(cell, batch, like)
    if type(cell).initial_state is Cell.initial_state:
        return state
    check_state(cell, state, state, "initial state")
    for name, tensor in zip(cell.state_names, state, strict=True):
        if tensor.shape[:1] != (batch,):
            raise ShapeError(
                f"{describe(cell)}: initial_state({batch}) made {name!r} of shape {tuple(tensor.shape)}; "
                f"its first size must be the batch, {batch}"
            )
    return state


def check_step(cell: Cell, result: object, before: State) -> None:
    """Raise ShapeError unless `step` returned an output and a state like the one that it got."""
    if not isinstance(result, tuple) or len(result) != 2 or not behaves_as_tensor(result[0]):
        raise ShapeError(f"{describe(cell)}: step() must return (output tensor, state tuple)")
    output, state = result
    if isinstance(state, tuple) and len(state) != len(cell.state_names):
        raise ShapeError(
            f"{describe(cell)}: step() returned {len(state)} state tensors; state_names declares {cell.state_names}"
        )
    check_state(cell, state, before, "state returned by step()")
    batch = before[0].shape[0] if before else output.shape[0]
    if output.ndim < 1 or output.shape[0] != batch:
        raise ShapeError(
            f"{describe(cell)}: step() returned an output of shape {tuple(output.shape)}; "
            f"its first size must be the batch, {batch}"
        )


def check_input(cell: Cell, values: Tensor, steps: int, weights: Iterator[Tensor]) -> None:
    """Raise ShapeError unless `steps` of numbers (..., D) fit a cell that uses such weights."""
    if steps == 0:
        raise ShapeError(f"{describe(cell)}: the input has no steps; a sequence needs at least one")
    if values.ndim == 0 or values.shape[-1] != cell.input_size:
        features = values.shape[-1] if values.ndim else "no"
        raise ShapeError(f"{describe(cell)}: the input has {features} features a step; input_size is {cell.input_size}")
    kind = values.dtype  # rather than of the tensor, which may be one that only behaves as such
    if not kind.is_floating_point and not kind.is_complex:
        raise ShapeError(
            f"{describe(cell)}: the input is {values.dtype}; it must be floating point, embedded if symbols"
        )
    first = weight = next(weights, None)
    while weight is not None and not _goes_with(weight.dtype, kind):
        weight = next(weights, None)
    if weight is None:
        if first is not None and kind.is_complex:
            raise ShapeError(f"{describe(cell)}: the input's dtype is {values.dtype}, the weights' {first.dtype}")
        return
    if values.device != weight.device:
        raise ShapeError(f"{describe(cell)}: the input is on {values.device}, the weights are on {weight.device}")
    if values.dtype != weight.dtype and not casts_automatically(values.device):
        raise ShapeError(
            f"{describe(cell)}: the input's dtype is {values.dtype}, the weights' {weight.dtype}; use .to()"
        )


def _goes_with(weight: torch.dtype, kind: torch.dtype) -> bool:
    """Tell whether a weight is complex as the input is, or floating point as the input is; no indices, no masks."""
    return weight.is_complex if kind.is_complex else weight.is_floating_point


def as_tensor(label: str, value: object) -> Tensor:
    """Return integers or booleans that may be a list as a tensor; raises KindError if they cannot be one."""
    if isinstance(value, Tensor):
        return value  # `as_tensor` would move it to torch's default device
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        if isinstance(value, list | tuple):
            raise KindError(
                f"{label} is a {type(value).__name__} of which torch makes no tensor: {first_line(error)}"
            ) from None
        raise KindError(f"{label} is a {type(value).__name__}, which is no tensor; give one, or a list") from None


def check_lengths(lengths: object, time: int, batch: int, device: torch.device) -> Tensor | None:
    """Return the steps of each row (B,); None if all rows run to the end: then there are no masks to pay for.

    Raises:
        ShapeError: there is not one whole number from 1 to `time` for each row.
    """
    lengths = as_tensor("lengths", lengths)
    if lengths.shape != (batch,) or lengths.dtype not in INTEGERS:
        raise ShapeError(
            f"lengths has shape {tuple(lengths.shape)} and dtype {lengths.dtype}; "
            f"it must be one integer for each of the {batch} row{'s' * (batch != 1)}"
        )
    if lengths.device not in (device, torch.device("cpu")):
        raise ShapeError(f"lengths is on {lengths.device}, the input is on {device}")
    if lengths.is_meta:
        raise ShapeError("lengths is on meta, where tensors have no values; give it on the CPU")
    try:
        shortest, longest = (int(lengths.min()), int(lengths.max())) if batch else (time, time)
    except RuntimeError:  # under vmap, where values are hidden: the masks do without
        return lengths
    if shortest < 1 or longest > time:
        raise ShapeError(
            f"lengths runs from {shortest} to {longest}; each must be from 1 to the number of steps, {time}"
        )
    return None if shortest == time else lengths


def check_reset(reset: object, time: int, batch: int, device: torch.device) -> Tensor:
    """Return the starts (T, B); raises ShapeError unless they are such booleans where the input is."""
    reset = as_tensor("reset", reset)
    if reset.shape != (time, batch) or reset.dtype != torch.bool:
        raise ShapeError(
            f"reset has shape {tuple(reset.shape)} and dtype {reset.dtype}; it must be booleans ({time}, {batch})"
        )
    if reset.device != device:
        raise ShapeError(f"reset is on {reset.device}, the input is on {device}")
    return reset
