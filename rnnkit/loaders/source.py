"""What batches are read from, again and again: a loader of the user's, or one of ours around a data set."""

from collections.abc import Iterable, Sized
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from rnnkit.errors import KindError, UsageError
from rnnkit.loaders.collate import collate


class Source:
    """Checks what the user has given, and opens it.

    Args:
        label: what an error calls it.
        given: a DataLoader, a Dataset, or whatever else yields batches each time it is iterated.
        shuffle: whether the samples of a Dataset come in another order at every pass.

    Raises:
        KindError: it cannot be iterated.
        UsageError: it can be read once only, keeps its workers from pass to pass, or does not say how long it is.
    """

    def __init__(self, label: str, given: Any, *, shuffle: bool) -> None:
        self.label, self.given, self.shuffle = label, given, shuffle
        self.every_step: bool | None = None
        """Of a Dataset's targets; None: not known yet."""
        self.ours = isinstance(given, Dataset)
        """Whether the batches are put together here."""
        if self.ours:
            if not isinstance(given, IterableDataset | Sized):
                raise UsageError(f"{label} is a {type(given).__name__} without a length; give it __len__()")
            return
        if not isinstance(given, Iterable):
            raise KindError(
                f"{label} is a {type(given).__name__}; it must be a DataLoader, a Dataset or a list of batches"
            )
        if iter_is_itself(given):
            raise UsageError(
                f"{label} is a {type(given).__name__}, which can be read once only; give what can be read again: "
                "a DataLoader, a Dataset, a list of batches"
            )
        if getattr(given, "persistent_workers", False):
            raise UsageError(
                f"{label} keeps its workers, and one place for all that read it; give persistent_workers=False"
            )

    def open(self, rows: int) -> Iterable[Any]:
        """Return what yields the batches of one pass, of so many rows where they are put together here."""
        if not self.ours:
            opened: Iterable[Any] = self.given
            return opened
        shuffle = self.shuffle and not isinstance(self.given, IterableDataset) and len(self.given) > 0
        return DataLoader(
            self.given, batch_size=rows, shuffle=shuffle, collate_fn=partial(collate, every_step=self.every_step)
        )


def iter_is_itself(given: Iterable[Any]) -> bool:
    """Tell whether something is an iterator, which goes on where it was rather than begin again."""
    return hasattr(given, "__next__")


def generators_of(opened: Any) -> list[torch.Generator]:
    """Return the generators that a loader and its samplers draw from, each once."""
    batches = getattr(opened, "batch_sampler", None)
    owners = (opened, getattr(opened, "sampler", None), batches, getattr(batches, "sampler", None))
    found = [getattr(owner, "generator", None) for owner in owners]
    return list({id(g): g for g in found if isinstance(g, torch.Generator)}.values())
