"""Sequences of different lengths put into one batch: padded at their ends, with the length of each."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from rnnkit.core.input_checks import as_tensor
from rnnkit.core.task import Batch
from rnnkit.errors import DataError, KindError

NO_CLASS = -100
"""Stands for the class of a step that has none, as in torch's cross-entropy; of numbers NaN does."""


def collate(samples: Sequence[tuple[Any, Any]], every_step: bool | None = None) -> Batch:
    """Put sequences and their targets into one batch, time first: a `collate_fn` for `torch.utils.data.DataLoader`.

    Sequences are padded with zeros to the longest, targets past a sequence's end with -100 if they are integers, which
    torch's cross-entropy passes over, else with NaN. `Batch.lengths` is None where all are equally long.

    Args:
        samples: (sequence, target) each. Sequences are numbers (T_i, D) or (T_i,), taken as (T_i, 1), or integers
            (T_i,), symbols; targets (T_i, ...) with one at every step, or of one shape with one a sequence.
        every_step: which of the two targets are; None: one at every step if each is as long as its sequence. Say it
            where targets are vectors, which may happen to be as long as the sequences of a batch.

    Raises:
        DataError: there is no sample, one is empty or no pair, or they do not fit together.
    """
    if not samples:
        raise DataError("there is no sequence to put into a batch; give at least one")
    pairs = [_pair(number, sample) for number, sample in enumerate(samples)]
    sequences, targets = [xs for xs, _ in pairs], [ys for _, ys in pairs]
    _check_alike("sequence", sequences, first=1)
    lengths = [len(xs) for xs in sequences]
    if every_step is None:
        every_step = _each_step(lengths, targets)
    _check_alike("target", targets, first=int(every_step))
    if every_step:
        for number, (length, ys) in enumerate(zip(lengths, targets, strict=True)):
            if ys.shape[:1] != (length,):
                raise DataError(
                    f"target {number} has shape {tuple(ys.shape)}, its sequence {length} steps; give one a step"
                )
    return Batch(
        pad_sequence(sequences),
        pad_sequence(targets, padding_value=_filling(targets[0])) if every_step else torch.stack(targets),
        torch.tensor(lengths) if min(lengths) < max(lengths) else None,
    )


def marked_past_the_ends(targets: Tensor, lengths: Tensor) -> Tensor:
    """Return targets (T, B, ...) in which those past a row's end are marked, as `collate` marks them."""
    past = torch.arange(len(targets), device=targets.device).unsqueeze(1) >= lengths.to(targets.device)
    return targets.masked_fill(past.view(*past.shape, *[1] * (targets.ndim - 2)), _filling(targets))


def _filling(targets: Tensor) -> float:
    return float("nan") if targets.is_floating_point() else NO_CLASS


def _pair(number: int, sample: Any) -> tuple[Tensor, Tensor]:
    """Return one sample as tensors: a sequence with its steps first, integers wide enough for the mark of no class."""
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        raise DataError(f"sample {number} is a {type(sample).__name__}; it must be a pair (sequence, target)")
    try:
        sequence, target = as_tensor("the sequence", sample[0]), as_tensor("the target", sample[1])
    except KindError as error:
        raise DataError(f"sample {number}: {error}") from None
    if sequence.ndim not in (1, 2) or not len(sequence):
        raise DataError(
            f"sequence {number} has shape {tuple(sequence.shape)}; it must be (steps,) or (steps, features), one step "
            "or more"
        )
    if not target.is_floating_point():
        target = target.long()
    return sequence.unsqueeze(1) if sequence.ndim == 1 and sequence.is_floating_point() else sequence, target


def _check_alike(noun: str, tensors: Sequence[Tensor], first: int) -> None:
    """Raise DataError unless all have one dtype, and from dimension `first` on one shape."""
    like = tensors[0]
    for number, tensor in enumerate(tensors):
        for what, given, wanted in (
            ("shape", tuple(tensor.shape[first:]), tuple(like.shape[first:])),
            ("dtype", tensor.dtype, like.dtype),
        ):
            if given != wanted:
                of = f"{what} {given}" + (" a step" if first and what == "shape" else "")
                raise DataError(f"{noun} {number} has {of}, {noun} 0 has {wanted}; they must be the same")


def _each_step(lengths: Sequence[int], targets: Sequence[Tensor]) -> bool:
    """Tell whether there is a target at every step, from the shapes of all."""
    return all(ys.ndim > 0 and len(ys) == length for ys, length in zip(targets, lengths, strict=True))
