"""The unroller: how a cell is stepped over a sequence and differentiated. And the one boundary check."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from rnnkit.cell import Cell, State, behaves_as_tensor, name_after_class, parameters_of, starting_state
from rnnkit.errors import KindError, ShapeError

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


class Unroller(ABC):
    """Runs a cell over time. It trades time for memory, never numbers.

    For every cell and input, outputs, final state and all gradients equal those of the plain loop:

        projected = cell.project(xs)
        for t in range(T):
            y[t], state = cell.step(projected[t], state)

    Options of an unroller are arguments of its constructor.
    """

    name: ClassVar[str]
    """What the registry and the command line call the unroller."""

    auto_rank: ClassVar[int | None] = None
    """`unroller="auto"` takes the highest rank among those that apply; None: only by name, unless `rank` says more."""

    @classmethod
    def variants(cls) -> "list[Unroller]":
        """Return one for each way in which it may run a cell, however it would choose: what checks try.

        One that a cell does not go with says so by `applies`.
        """
        return [cls()]

    def __init_subclass__(cls, **options: Any) -> None:
        """Name a class that sets no name of its own after itself."""
        super().__init_subclass__(**options)
        name_after_class(cls)

    def applies(self, cell: Cell) -> bool:
        """Tell whether this unroller can run `cell`; `auto` passes over those that can't.

        It is asked when a layer is built, and again when the layer's parameters have moved or changed their dtype. What
        it says must hold within a wrapper that returns the states too; where that is too much to promise, fall back to
        the plain loop.
        """
        return True

    def rank(self, cell: Cell) -> int | None:
        """Give the rank by which `auto` goes for `cell` in its dtype and on its device; None: it is passed over.

        By default `auto_rank`. To answer must be cheap: `applies` is asked after it, and only from the highest rank
        down.
        """
        return self.auto_rank

    @abstractmethod
    def __call__(
        self,
        cell: Cell,
        xs: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Unroll `cell` over `xs`.

        Args:
            cell: what is stepped.
            xs: (T, B, D), time first.
            state: the state before the first step, one tensor (B, ...) for each name; None: the cell's initial
                state.
            lengths: (B,) integers from 1 to T. Past the end of its row the output is zero and the state stays.
            reset: (T, B) booleans. Where true, that row starts again from the cell's initial state before step t.

        Returns:
            ys (T, B, O) and the state after the last step.

        Raises:
            ShapeError: an input does not fit the cell, see `prepare`.
        """

    def explain(self, cell: Cell) -> str:
        """Say how this unroller runs `cell`, in one line or several: what is fused, what is not and why."""
        return "steps through time with torch's operations"

    @classmethod
    def facts(cls) -> dict[str, str]:
        """Say what `rnnkit doctor` shows of it: what it needs of the machine and keeps on disk, and what it lacks."""
        return {}

    @classmethod
    def clear_cache(cls) -> int:
        """Remove what it keeps on disk; gives how many bytes that were."""
        return 0

    @classmethod  # noqa: B027  (most keep none)
    def release_memory(cls) -> None:
        """Give back memory that it keeps for the next call; nothing that is in use."""

    def __repr__(self) -> str:
        return self.name


class Masks(NamedTuple):
    """Which rows run at which step; slices with time as the tensors do."""

    live: Tensor | None
    """(T, B) booleans: the row has not ended before this step. None: all rows run to the end."""

    restart: Tensor | None
    """(T, B) booleans: the row starts again at this step. None: no row does."""

    initial: State
    """Where a row starts again from: the cell's initial state; empty if no row does."""

    def between(self, start: int, stop: int) -> "Masks":
        """Give the masks of steps start to stop - 1."""
        return Masks(
            None if self.live is None else self.live[start:stop],
            None if self.restart is None else self.restart[start:stop],
            self.initial,
        )


class Prepared(NamedTuple):
    """What an unroller works on, checked: see `prepare`."""

    xs: Tensor
    state: State
    masks: Masks


def prepare(cell: Cell, xs: Tensor, state: State | None, lengths: Tensor | None, reset: Tensor | None) -> Prepared:
    """Check what was handed to an unroller and fill in the defaults: the one boundary check.

    Every unroller begins with it, so its loop may trust what it gets. Input past a row's end is zeroed, so
    that whatever stands in the padding, NaN included, reaches neither outputs nor gradients.

    Raises:
        ShapeError: in one sentence, the tensor at fault, its shape and the shape that fits.
    """
    if xs.ndim != 3:
        raise ShapeError(
            f"{describe(cell)}: the input has shape {tuple(xs.shape)}; an unroller takes (time, batch, input_size)"
        )
    check_input(cell, xs, xs.shape[0], parameters_of(cell))
    time, batch = xs.shape[:2]
    if lengths is not None:
        lengths = check_lengths(lengths, time, batch, xs.device)
    if reset is not None:
        reset = check_reset(reset, time, batch, xs.device)
    own = type(cell).initial_state is not Cell.initial_state
    given = state is not None
    initial = () if given and reset is None and not own else starting_state(cell, batch, xs)
    state = initial if state is None else state
    if given or own:  # zeros made here fit
        check_state(cell, state, initial or plain_state(cell, batch, xs), "initial state")
    live = None
    if lengths is not None:
        live = torch.arange(time, device=xs.device).unsqueeze(1) < lengths.to(xs.device).unsqueeze(0)
        xs = xs.masked_fill(~live.unsqueeze(-1), 0)
    return Prepared(xs, state, Masks(live, reset, () if reset is None else initial))


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
    while weight is not None and not weight.dtype.is_complex == kind.is_complex != weight.dtype.is_floating_point:
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


def as_tensor(label: str, value: object) -> Tensor:
    """Give integers or booleans that may be a list as a tensor; raises KindError if they cannot be one."""
    if isinstance(value, Tensor):
        return value  # `as_tensor` would move it to torch's default device
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise KindError(f"{label} is a {type(value).__name__}, which is no tensor; give one, or a list") from None


def check_lengths(lengths: object, time: int, batch: int, device: torch.device) -> Tensor | None:
    """Give the steps of each row (B,); None if all rows run to the end: then there are no masks to pay for.

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
    """Give the starts (T, B); raises ShapeError unless they are such booleans where the input is."""
    reset = as_tensor("reset", reset)
    if reset.shape != (time, batch) or reset.dtype != torch.bool:
        raise ShapeError(
            f"reset has shape {tuple(reset.shape)} and dtype {reset.dtype}; it must be booleans ({time}, {batch})"
        )
    if reset.device != device:
        raise ShapeError(f"reset is on {reset.device}, the input is on {device}")
    return reset
