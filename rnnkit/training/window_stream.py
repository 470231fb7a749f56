"""The stream of training data: window after window of batch after batch, from a place that can be saved."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from rnnkit.core.batch_checks import check_batch
from rnnkit.core.task import Batch, Task
from rnnkit.errors import PluginError, UsageError
from rnnkit.training.truncation import Window, windows

ROWS = 32
"""Of a batch, where neither the user nor the task says how many."""


class WindowBatch(NamedTuple):
    """What one backward pass learns from."""

    batch: Batch
    window: Window
    first: bool
    """Whether it is the first window of the batch."""
    following: Window | None
    """The next window of the same batch."""


class Stream:
    """Yields windows without end.

    Its place is a state of the generator, and how many batches and windows have been taken since. A task that can
    begin anew (`Task.fresh_at_breaks`) needs none of the batches before the last break, however long the run.

    Args:
        task: gives the batches.
        batch_size: rows B.
        truncate: as in `rnnkit.train`.
        seed: of the data's order.
    """

    def __init__(self, task: Task, batch_size: int, truncate: tuple[int, int] | None, seed: int) -> None:
        self.task = task
        self.batch_size = batch_size
        self.truncate = truncate
        self._generator = torch.Generator().manual_seed(seed)
        self._cut: list[Window] = []
        self._window = 0
        self._begin(self._generator.get_state())

    @property
    def rows(self) -> int:
        """Rows of the batch at hand, of which the last of a pass over the data may have fewer than the others."""
        return self.batch_size if self._taken == 0 else self._batch.xs.shape[1]

    def __iter__(self) -> Iterator[WindowBatch]:
        return self

    def __next__(self) -> WindowBatch:
        if self._window == len(self._cut):
            self._fetch()
        at, self._window = self._window, self._window + 1
        following = self._cut[at + 1] if at + 1 < len(self._cut) else None
        return WindowBatch(self._batch, self._cut[at], at == 0, following)

    def state(self) -> dict[str, Any]:
        """Return the place of the next window."""
        return {"generator": self._origin, "batches": self._taken, "window": self._window}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go to a place that `state` gave.

        Raises:
            ValueError: it is no place of this stream.
        """
        self._begin(state["generator"])
        for _ in range(state["batches"]):
            self._fetch(cut=False)
        if state["batches"]:
            self._cut = self._windows(self._batch)
        if not 0 <= state["window"] <= len(self._cut):
            raise ValueError(f"window {state['window']} of {len(self._cut)} is none")
        self._window = state["window"]

    def _begin(self, origin: torch.Tensor) -> None:
        self._generator.set_state(origin)
        self._origin, self._taken = origin, 0
        self._batches = self.task.batches(self.batch_size, self._generator)
        self._cut, self._window = [], 0

    def _fetch(self, cut: bool = True) -> None:
        before = self._generator.get_state()
        try:
            self._batch = check_batch(self.task, next(self._batches))
        except StopIteration:
            raise PluginError(
                f"task {self.task.name!r} has run out of batches; its `batches` must give them without end"
            ) from None
        if self._is_reachable():
            self._origin, self._taken = before, 0
        self._taken += 1
        if cut:
            self._cut, self._window = self._windows(self._batch), 0

    def _is_reachable(self) -> bool:
        """Whether the batch at hand can be had again from the generator as it was before, without those before it."""
        first = getattr(self._batches, "is_first", None)
        return self.task.fresh_at_breaks and not self._batch.continues if first is None else bool(first)

    def _windows(self, batch: Batch) -> list[Window]:
        if batch.lengths is not None and self.truncate is not None:
            raise UsageError(
                f"task {self.task.name!r} gives rows of different lengths; truncated BPTT does not take them yet"
            )
        return windows(len(batch.xs), self.truncate, self.task.every_step)


def rows_of(task: Task) -> int:
    """Return the rows of a batch where nobody says how many."""
    return ROWS if task.fixed_batch_size is None else task.fixed_batch_size
