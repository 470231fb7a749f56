"""The backend: what runs the steps of a recorded cell."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from rnnkit import Masks
from rnnkit_compiler.ir.lowered import Lowered
from rnnkit_compiler.trace.recording import Recording
from rnnkit_compiler.trace.split import Split

Results = tuple[Tensor, tuple[Tensor, ...]]
"""Outputs (T, B, O) and the last state."""


class Timeline(NamedTuple):
    """How many steps and rows a call has, and which rows run at which step."""

    steps: int
    batch: int
    lengths: Tensor | None
    """(B,) of int64; None: all rows run to the end."""

    order: Tensor | None
    """(B,) of int64: rows by falling length."""

    reset: Tensor | None
    """(T, B) of booleans, contiguous; None: no row starts again."""

    @classmethod
    def of(cls, xs: Tensor, masks: Masks) -> "Timeline":
        """Return the rows and steps of a call."""
        reset = None if masks.restart is None else masks.restart.contiguous()
        if masks.live is None:
            return cls(xs.shape[0], xs.shape[1], None, None, reset)
        lengths = masks.live.sum(0)
        return cls(xs.shape[0], xs.shape[1], lengths, lengths.argsort(descending=True, stable=True), reset)

    def between(self, start: int, stop: int) -> "Timeline":
        """Return the timeline of steps start to stop - 1."""
        lengths = None if self.lengths is None else self.lengths - start
        reset = None if self.reset is None else self.reset[start:stop]
        return Timeline(stop - start, self.batch, lengths, self.order, reset)


class Tensors(NamedTuple):
    """What the steps work on; outputs have gradients for all of them that ask for it."""

    parts: Sequence[Tensor]
    """What a step reads of the input, each (T, B, ...)."""

    states: Sequence[Tensor]
    """Before the first step, each (B, ...)."""

    initial: Sequence[Tensor]
    """Where rows start again from; none if none does."""

    invariants: Sequence[Tensor]
    """What is the same at every step."""


class Lasting(NamedTuple):
    """What lasts over many calls of the invariants, by their places; of calls without masks."""

    fixed: Mapping[int, Tensor]
    """These are always the same tensors, and lie where they do now."""

    added: Mapping[int, Tensor]
    """These are vectors that are a tensor of the call plus this one, of the same form."""


class Refusal(NamedTuple):
    """Why something does not run a cell."""

    reason: str
    tables: tuple[str, ...] = ()
    """The paths of buffers by which code branched on the way: with something else in them it may be run."""


@dataclass
class RecordedStep:
    """A step of a cell, as backends are asked about it and made of it."""

    recording: Recording
    split: Split
    lowered: Lowered | Refusal
    """The step in the ir, or why it has no counterpart there."""

    device: torch.device
    dtype: torch.dtype
    """Of the first state."""

    title: str
    """Names the cell in what is generated."""

    comment: str
    """The cell's equation, for what is generated."""

    takes_input: bool
    """Whether the projection is in the recording, so that the step's part is the input itself."""

    narrow: bool
    """Whether factors of products may be rounded to bfloat16, as autocast does, their sums not."""

    kernel: str | None = None
    """Which of its kinds of kernels a backend is to take, where it has several; None: it chooses."""


def beyond(
    step: RecordedStep | None, dtype: torch.dtype, states: Sequence[torch.dtype], dtypes: Sequence[torch.dtype]
) -> str:
    """Say why a step is beyond a backend whose states and numbers have these dtypes; empty: it is not.

    Args:
        step: None before it is recorded.
        dtype: of its first state.
        states: what a state may be.
        dtypes: what is computed in.
    """
    if dtype not in states:
        return f"its state is {dtype}"
    if step is None:
        return ""
    if isinstance(step.lowered, Refusal):
        return step.lowered.reason
    return "" if step.lowered.dtype in dtypes else f"its numbers are {step.lowered.dtype}"


Fixed = Callable[[Tensor, Tensor], bool]
"""Runs the steps of an input into outputs; False if the input is of memory that may not be touched."""


class Direct(ABC):
    """Runs the steps of calls of one form, without gradients, from tensors into tensors; one call at a time."""

    @abstractmethod
    def enter(self, before: Sequence[Tensor], ys: Tensor, after: Sequence[Tensor]) -> None:
        """Take the states and the room for results of the runs to come.

        They are contiguous and in the dtype of the step; of their shapes only the number of elements counts.

        Args:
            before: the states before the first step, each (B, ...).
            ys: for the outputs (T, B, O).
            after: for the last states; may be the tensors of `before`.

        Raises:
            Unfit: a state is of memory that may not be touched.
        """

    @abstractmethod
    def run(self, parts: Sequence[Tensor], invariants: Sequence[Tensor]) -> None:
        """Step through time; all rows run to the end, and none starts again.

        Args:
            parts: what a step reads of the input, each (T, B, ...).
            invariants: what is the same at every step, of the same strides at every run.

        Raises:
            Unfit: a tensor is of memory that may not be touched; nothing has been written.
        """

    @abstractmethod
    def fixed(self, invariants: Sequence[Tensor], sums: Mapping[int, Sequence[Tensor]]) -> Fixed | None:
        """Return what runs the one part (T, B, ...) into outputs, with invariants that stay where they lie.

        Args:
            invariants: contiguous, in the dtype of the step.
            sums: of the invariants, by their places, that are sums of two: these, to be added up anew in each run.

        Returns:
            None where that would not be so.
        """


class Backend(ABC):
    """Runs the steps of one recorded cell. It gives the loop's numbers.

    A backend whose step is not differentiable twice, or that meets tensors it may not touch, leaves these calls to
    torch's operations; see `autograd`.
    """

    name: ClassVar[str]
    """What the user asks for it by."""

    kernels: ClassVar[tuple[str, ...]] = ()
    """The kinds of kernels that the user may ask for, where it has several."""

    invariants: Sequence[int]
    """The numbers in the recording of what it takes as `Tensors.invariants`."""

    @classmethod
    def volunteers(cls) -> bool:
        """Tell whether it is asked where no backend is wanted by name."""
        return True

    @classmethod
    @abstractmethod
    def supports(cls, step: RecordedStep | None, device: torch.device, dtype: torch.dtype) -> str:
        """Return why it cannot run a step; empty if it can.

        Args:
            step: the step; None before it is recorded, which is asked first, so that nothing is recorded in vain.
            device: where a tensor of the call is; it is asked for each.
            dtype: of the states.
        """

    @classmethod
    @abstractmethod
    def make(cls, step: RecordedStep) -> "Backend | Refusal":
        """Make what runs a step that is supported; a refusal if that fails, as a compiler may."""

    @abstractmethod
    def run(self, tensors: Tensors, timeline: Timeline) -> Results:
        """Step through time."""

    @abstractmethod
    def explain(self) -> Iterator[str]:
        """Say what it does at each step, line by line."""

    @abstractmethod
    def is_worth_it(self, steps: int, batch: int) -> bool:
        """Tell whether it beats the plain loop at these numbers of steps and rows."""

    def nanoseconds(self, steps: int, batch: int) -> float | None:
        """Return what a call of so many steps and rows takes forward, by a model; None: there is none."""
        return None

    def lasting(self, lasting: Lasting) -> Callable[[Tensors, Timeline], Results] | None:
        """Return what runs calls in which something of the invariants lasts; None: only `run` does.

        Behind their invariants such calls bring, in order, the tensors that are added to some of them.
        """
        return None

    def direct(self, steps: int, batch: int) -> Direct | None:
        """Return what runs calls of so many steps and rows with next to no preparation; None: there is nothing."""
        return None

    @classmethod
    def fast_products(cls, multiplications: int) -> AbstractContextManager[object] | None:
        """Return what makes a projection of so many multiplications fast while it is entered; None: nothing."""
        return None

    @classmethod
    def facts(cls) -> Mapping[str, str]:
        """Tell what it found on this machine, for `rnnkit doctor`."""
        return {}

    @classmethod
    def clear_cache(cls) -> int:
        """Remove all that it has stored; return the bytes."""
        return 0

    @classmethod
    def release_memory(cls) -> None:
        """Return to the system what it would use again."""
        return
