"""What a loader's batches are like, found from the first of them, and how each is brought into a `Batch`."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.input_checks import as_tensor, check_lengths
from rnnkit.core.task import Batch
from rnnkit.errors import DataError, KindError, ShapeError
from rnnkit.loaders.collate import marked_past_the_ends

OF_SINGLE = "make a Dataset of them, or batches by rnnkit.collate"
"""What to do with single sequences, which torch takes as samples in a list; here a list holds batches."""


@dataclass(frozen=True)
class Layout:
    """How batches lie; each problem is told as what "a batch" is or has."""

    batch_first: bool
    """Whether inputs, and targets at every step, have the batch as their first dimension."""
    every_step: bool
    """Whether there is a target at every step, or one a sequence."""
    marks: bool
    """Whether targets past a row's end are marked here, and all others checked; else they are the loss's affair."""

    def read(self, item: Any) -> Batch:
        """Return a batch of the loader's as one that is time first, with real inputs (T, B, D) or symbols (T, B).

        Raises:
            DataError: it is no batch, or a single sequence, or is not finite.
        """
        batch = split(item, self.batch_first, self.every_step)
        _check_no_single(batch, self.every_step)
        batch = batch._replace(xs=read_inputs(batch.xs), lengths=_lengths(batch))
        targets = batch.targets if batch.targets.is_floating_point() else batch.targets.long()
        if self.marks and self.every_step and batch.lengths is not None and targets.shape[:2] == batch.xs.shape[:2]:
            targets = marked_past_the_ends(targets, batch.lengths)
        _check_finite(batch._replace(targets=targets), self.every_step, self.marks)
        return batch._replace(targets=targets)


def split(item: Any, batch_first: bool, every_step: bool) -> Batch:
    """Return inputs, targets and lengths, time first.

    Raises:
        DataError: it is none of what a batch may be.
    """
    if isinstance(item, Batch):
        return item
    if not isinstance(item, tuple | list) or len(item) not in (2, 3):
        kind = f"{type(item).__name__} of {len(item)}" if isinstance(item, tuple | list) else type(item).__name__
        raise DataError(f"is a {kind}; it must be (xs, targets), (xs, targets, lengths) or a rnnkit.Batch")
    for name, part in zip(("inputs", "targets"), item, strict=False):
        if part is None:
            raise DataError(
                f"has no {name}, but None; it must be (xs, targets), (xs, targets, lengths) or a rnnkit.Batch"
            )
    try:
        xs, targets, *rest = (
            as_tensor(f"the {name}", part)
            for name, part in zip(("inputs", "targets", "lengths"), item, strict=False)
            if part is not None
        )
    except KindError as error:
        if isinstance(item[0], Tensor | str):
            raise DataError(f"is wrong: {error}") from None
        raise DataError(
            f"has inputs or targets that make no tensor, {_called(item[0])} and {_called(item[1])}; of sequences, "
            f"which may have different lengths, {OF_SINGLE}"
        ) from None
    if batch_first:
        _check_dimensions(xs)
        xs = xs.transpose(0, 1)
        targets = targets.transpose(0, 1) if every_step and targets.ndim > 1 else targets
    return Batch(xs, targets, rest[0] if rest else None)


def read_inputs(xs: Tensor) -> Tensor:
    """Return inputs as real ones (T, B, D), or symbols (T, B): integers in two dimensions are symbols.

    Raises:
        DataError: they have another number of dimensions.
    """
    _check_dimensions(xs)
    if xs.is_floating_point():
        return xs.unsqueeze(-1) if xs.ndim == 2 else xs
    if xs.ndim == 2 and xs.dtype != torch.bool:
        return xs.long()
    xs = xs.to(torch.get_default_dtype())
    return xs.unsqueeze(-1) if xs.ndim == 2 else xs


def found_every_step(item: Any, batch_first: bool) -> bool:
    """Tell from the shapes of a batch whether there is a target at every step.

    Raises:
        DataError: it is no batch, or its targets are neither one a step nor one a sequence.
    """
    first = split(item, batch_first, every_step=True)
    _check_dimensions(first.xs)
    rows = first.xs.shape[1]
    if first.targets.shape[:2] == first.xs.shape[:2]:
        return True
    # One a sequence was turned around with the rest.
    once = first.targets.transpose(0, 1) if _turned(item, batch_first) and first.targets.ndim > 1 else first.targets
    if once.shape[:1] == (rows,):
        return False
    form = "(batch, time, ...)" if _turned(item, batch_first) else "(time, batch, ...)"
    if once.ndim == 0:
        raise DataError(
            f"has inputs of shape {tuple(first.xs.shape)} and one target, so it is a single sequence; {OF_SINGLE}"
        )
    given = tuple((first.xs.transpose(0, 1) if _turned(item, batch_first) else first.xs).shape)
    other = "batch_first=False" if batch_first else "batch_first=True"
    raise DataError(
        f"has inputs of shape {given} and targets of shape {tuple(once.shape)}; give one target a step, {form}, or one "
        f"a sequence, (batch, ...), or {other} if the dimensions are the other way round{_of_single(first.xs)}"
    )


def _turned(item: Any, batch_first: bool) -> bool:
    return batch_first and not isinstance(item, Batch)


def _check_no_single(batch: Batch, every_step: bool) -> None:
    """Raise DataError where targets do not fit inputs that may be a single sequence, (T, D) or (T,)."""
    _check_dimensions(batch.xs)
    wanted = tuple(batch.xs.shape[:2] if every_step else batch.xs.shape[1:2])
    if batch.xs.ndim == 2 and batch.targets.shape[: len(wanted)] != wanted:
        each = "step of each row" if every_step else "row"
        raise DataError(
            f"has targets of shape {tuple(batch.targets.shape)}; give one for each {each}, "
            f"({', '.join(map(str, wanted))}, ...){_of_single(batch.xs)}"
        )


def _of_single(xs: Tensor) -> str:
    """Say what to do if inputs are a single sequence; "" of those that cannot be one."""
    return f"; of single sequences {OF_SINGLE}" if xs.ndim in (1, 2) else ""


def _called(part: object) -> str:
    return f"a list of {len(part)}" if isinstance(part, list) else f"a {type(part).__name__}"


def _check_dimensions(xs: Tensor) -> None:
    if xs.ndim not in (2, 3):
        raise DataError(
            f"has inputs of shape {tuple(xs.shape)}; they must have two dimensions, time and batch, or three with "
            f"the features last{_of_single(xs)}"
        )


def _lengths(batch: Batch) -> Tensor | None:
    """Return the lengths; None where all rows run to the end, so that truncated backpropagation takes them too."""
    if batch.lengths is None:
        return None
    try:
        return check_lengths(batch.lengths, batch.xs.shape[0], batch.xs.shape[1], batch.xs.device)
    except ShapeError as error:
        raise DataError(f"is wrong: {error}") from None


def _check_finite(batch: Batch, every_step: bool, targets_too: bool) -> None:
    """Raise DataError for a number that is not finite, padding of targets aside."""
    checked = [("inputs", batch.xs)]
    if targets_too and batch.targets.is_floating_point():
        targets = batch.targets
        if every_step and batch.lengths is not None and targets.shape[:2] == batch.xs.shape[:2]:
            targets = targets.where(~marked_past_the_ends(torch.zeros_like(targets), batch.lengths).isnan(), 0)
        checked.append(("targets", targets))
    for name, tensor in checked:
        if tensor.is_floating_point() and tensor.device.type == "cpu" and not bool(tensor.isfinite().all()):
            at = tuple((~tensor.isfinite()).nonzero()[0].tolist())
            raise DataError(
                f"has {name} that are not finite: {tensor[at].item()} at {list(at)} of {tuple(tensor.shape)}, "
                "time first; leave them out or fill them in"
            )
