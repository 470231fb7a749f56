"""A task made of the batches that a loader gives."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit.core.task import Batch, Task
from rnnkit.errors import DataError, UsageError
from rnnkit.loaders.judge import Judge, number
from rnnkit.loaders.layout import Layout
from rnnkit.loaders.passes import Epochs, SeededPass, drawn_seed
from rnnkit.loaders.source import Source

HELD_OUT_SEED = 2**31 - 1
HELD_OUT_ROWS = 100
"""Rows of a held-out batch, where we put the batches together."""


class Sources(NamedTuple):
    """What a task reads from."""

    train: Source
    validation: Source
    """Where the user gives none, what is trained on."""
    test: Source | None


class Sizes(NamedTuple):
    """Widths, and rows of a batch."""

    input: int
    output: int
    batch: int | None
    """None: as many as are asked for."""


class LoaderTask(Task):
    """What `rnnkit.tasks.from_loader` returns."""

    def __init__(self, name: str, sources: Sources, layout: Layout, judge: Judge, sizes: Sizes, symbols: bool) -> None:
        # Of other tasks the class says so; here each task is of its own kind.
        vars(self).update(name=name, every_step=layout.every_step, symbols=symbols, fixed_batch_size=sizes.batch)
        vars(self).update(metric_name=judge.metric_name, higher_is_better=judge.higher_is_better)
        self.input_size, self.output_size = sizes.input, sizes.output
        self._sources, self._layout, self._judge = sources, layout, judge

    def __repr__(self) -> str:
        """Return what the data are taken for."""
        return f"<task {self.name!r}: {self.data_summary()}>"

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Return the first `size` rows of a pass.

        Raises:
            UsageError: the first batch has fewer.
        """
        batch = next(self._pass(self._sources.train, drawn_seed(generator), size), None)
        if batch is None:
            raise _empty(self._sources.train)
        rows = batch.xs.shape[1]
        if rows < size:
            raise UsageError(f"{self._sources.train.label} gives {rows} rows at once; {size} are asked for")
        if rows == size:
            return batch
        lengths = None if batch.lengths is None else batch.lengths[:size]
        targets = batch.targets[:, :size] if self.every_step else batch.targets[:size]
        return Batch(batch.xs[:, :size], targets, lengths)

    def batches(self, size: int, generator: torch.Generator) -> Epochs:
        """Yield the batches of pass after pass; `size` is that of the loader's, or what a Dataset is cut into.

        Raises:
            UsageError: the loader's batches have another size.
        """
        source, rows = self._sources.train, self.fixed_batch_size
        if rows not in (None, size):
            raise UsageError(
                f"{source.label} gives batches of {rows} rows; batch_size is {size}; leave it out, or give {rows}"
            )
        return Epochs(lambda seed: self._pass(source, seed, size), _empty(source), generator)

    def validation(self) -> Iterator[Batch]:
        """Yield the batches of the validation loader; where there is none, those that are trained on."""
        return self._pass(self._sources.validation, HELD_OUT_SEED, HELD_OUT_ROWS)

    def test(self) -> Iterator[Batch] | None:
        """Return the batches of the test loader, if there is one."""
        source = self._sources.test
        return None if source is None else self._pass(source, HELD_OUT_SEED, HELD_OUT_ROWS)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss that was given, or that suits the targets."""
        return number("loss", self._judge.loss(outputs, targets))

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the metric that was given, or that suits the targets."""
        return number("metric", self._judge.metric(outputs, targets))

    @cached_property
    def random(self) -> bool:  # type: ignore[override]  # of other tasks the class says so
        """Whether passes differ, from the first batches of two."""
        return self._print_of_pass(0) != self._print_of_pass(1)

    def fingerprint(self) -> str:
        """Return a checksum of the first batch of a pass; of data that differ at each reading, their sizes alone."""
        return self._fingerprint

    def data_summary(self) -> str:
        """Return what the data were taken for, in one line."""
        inputs = f"{self.input_size} symbols" if self.symbols else f"{self.input_size} features a step"
        when = "a step" if self.every_step else "a sequence"
        rows = self.fixed_batch_size
        cut = "batches put together here" if rows is None else f"batches of {rows} rows"
        same = self._sources.validation.given is self._sources.train.given
        judged = "; nothing is held out: validated on what is trained on" if same else ""
        return f"{inputs}, one target {when} ({self.output_size} outputs, {self._judge.name}), {cut}{judged}"

    @cached_property
    def _fingerprint(self) -> str:
        first, again = self._print_of_pass(0), self._print_of_pass(0)
        return first if first == again else f"{self.input_size} {self.output_size} {self.every_step}"

    def _print_of_pass(self, seed: int) -> str:
        batch = next(self._pass(self._sources.train, seed, HELD_OUT_ROWS), None)
        return "" if batch is None else checksum(batch)

    def _pass(self, source: Source, seed: int, rows: int) -> Iterator[Batch]:
        """Yield the batches of one pass, each as the task declares them."""
        for item in SeededPass(source.open(rows), seed):
            with blamed(source):
                batch = self._layout.read(item)
            yield batch


@contextmanager
def blamed(source: Source) -> Iterator[None]:
    """Say of an error that it is of a batch of this source."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{source.label}: a batch {error}") from None


def checksum(batch: Batch) -> str:
    """Return the SHA-256 of all tensors of a batch, as numbers of their dtypes, in 16 digits."""
    found = hashlib.sha256()
    for tensor in batch[:3]:
        if tensor is not None:
            found.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
            found.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]


def _empty(source: Source) -> DataError:
    return DataError(f"{source.label} gives no batch; give one that has data, at every pass")
