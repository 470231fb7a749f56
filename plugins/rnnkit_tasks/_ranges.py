"""Ranges of lengths: short ones to train on, longer ones to validate with, and these in parts to report by."""

from itertools import pairwise

from torch import Tensor

from rnnkit import Batch
from rnnkit.errors import UsageError, check_whole

PARTS = 3


def check_ranges(task: str, train: tuple[str, int], test: tuple[str, int], most: int, least: int = 1) -> None:
    """Raise UsageError unless least <= train < test <= most; both come with the name of their option."""
    (short, trained), (long, tested) = train, test
    check_whole(f"task {task!r}: {short}", trained, least=least)
    check_whole(f"task {task!r}: {long}", tested, least=least)
    if tested <= trained:
        raise UsageError(f"task {task!r}: {long} is {tested}; it must be more than {short}, which is {trained}")
    if tested > most:
        raise UsageError(f"task {task!r}: {long} is {tested}; it must be {most} or less")


def in_parts(batch: Batch, sizes: Tensor) -> dict[range, Batch]:
    """Cut a batch into three by the size (B,) of its rows, smallest first; into fewer where there are fewer sizes."""
    first, after = int(sizes.min()), int(sizes.max()) + 1
    count = min(PARTS, after - first)
    cuts = [first + (after - first) * part // count for part in range(count + 1)]
    return {range(*ends): _chosen(batch, *ends, sizes) for ends in pairwise(cuts)}


def _chosen(batch: Batch, first: int, after: int, sizes: Tensor) -> Batch:
    rows = (sizes >= first) & (sizes < after)
    lengths = None if batch.lengths is None else batch.lengths[rows]
    return batch._replace(xs=batch.xs[:, rows], targets=batch.targets[:, rows], lengths=lengths)
