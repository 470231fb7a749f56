"""The backend: what runs the steps of a recorded cell."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

from torch import Tensor

Unrolled = tuple[Tensor, tuple[Tensor, ...]]
"""Outputs (T, B, O) and the last state."""


class Sequences(NamedTuple):
    """Which rows run at which step."""

    steps: int
    batch: int
    lengths: Tensor | None
    """(B,) of int64; None: all rows run to the end."""

    order: Tensor | None
    """(B,) of int64: rows by falling length."""

    reset: Tensor | None
    """(T, B) of booleans, contiguous; None: no row starts again."""


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


class Backend(ABC):
    """Runs the steps. It gives the loop's numbers."""

    name: ClassVar[str]
    """What explanations call it."""

    @abstractmethod
    def run(self, tensors: Tensors, sequences: Sequences) -> Unrolled:
        """Step through time."""

    @abstractmethod
    def explain(self) -> Iterator[str]:
        """Say what it does at each step, line by line."""

    @abstractmethod
    def is_worth_it(self, batch: int) -> bool:
        """Tell whether it beats the plain loop at this number of rows."""
