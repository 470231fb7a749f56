"""Conformance: promises, and what became of each."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch

from rnnkit.errors import CheckError, RnnkitError, one_line
from rnnkit.support import html_page

Promise = Callable[[], Iterator[str]]
"""A test that gives a sentence for each way in which something is broken."""


class Checker(Protocol):
    """Something that has promises."""

    def promises(self) -> dict[str, Promise]:
        """Return each promise by name."""


STEPS, BATCH, INPUT, HIDDEN = 6, 3, 4, 5


class Sizes(NamedTuple):
    """The sizes at which a cell is checked."""

    batch: int = BATCH
    input: int = INPUT
    hidden: int = HIDDEN


@dataclass(frozen=True)
class Conformance:
    """What a check found: for each promise, a sentence for each way in which it is broken."""

    subject: str
    promises: dict[str, list[str]]
    notes: tuple[str, ...] = ()
    """What was tried, and what was not demanded and why, one sentence each."""
    raised: Exception | None = field(default=None, compare=False, repr=False)
    """What ended the check, where it is an exception of the subject's own and not a promise's sentence."""

    @property
    def failures(self) -> list[str]:
        """All sentences."""
        return [sentence for sentences in self.promises.values() for sentence in sentences]

    @property
    def broken(self) -> int:
        """Number of promises that are broken."""
        return sum(map(bool, self.promises.values()))

    @property
    def ok(self) -> bool:
        """Whether every promise is kept."""
        return not self.failures

    def _repr_html_(self) -> str:
        """Show a row for each promise in a notebook."""
        rows = [(promise, "broken" if sentences else "kept") for promise, sentences in self.promises.items()]
        head = f"{self.subject}: {'every promise is kept' if self.ok else f'{self.broken} promises are broken'}"
        table = html_page.table(["promise", "verdict"], rows)
        return html_page.fragment([html_page.paragraph(head), table, html_page.listing([*self.failures, *self.notes])])

    def raise_if_failed(self) -> "Conformance":
        """Return the result back, or raise CheckError with every sentence."""
        if not self.ok:
            lines = "".join(f"\n  {sentence}" for sentence in self.failures)
            raise CheckError(f"{self.subject} breaks {self.broken} of its promises:{lines}", self.failures)
        return self


def built(subject: str, build: Callable[[], Checker], **decisive: Collection[str]) -> Conformance:
    """Build what is checked and run its promises; what cannot be built has one sentence, and no promises to keep."""
    try:
        checker = build()
    except Exception as error:
        return Conformance(subject, {"can be built": [f"{subject} cannot be built: {one_line(error)}"]})
    return keep_promises(subject, checker.promises(), **decisive)


def keep_promises(subject: str, promises: dict[str, Promise], decisive: Collection[str] = ()) -> Conformance:
    """Run each promise; an exception breaks the promise under test and no other.

    Where one of the `decisive` is broken, the rest are left out: they would be blamed for its consequences.
    """
    kept: dict[str, list[str]] = {}
    raised: Exception | None = None
    with torch.random.fork_rng(devices=[]):
        for label, promise in promises.items():
            torch.manual_seed(0)
            sentences: list[str] = []
            try:
                sentences.extend(promise())
            except RnnkitError as error:
                sentences.append(str(error))
            except Exception as error:
                sentences.append(f"{label}: {one_line(error)}")
                raised = error if label in decisive else raised
            kept[label] = [s if s.startswith(subject) else f"{subject}: {s}" for s in sentences]
            if sentences and label in decisive:
                break
    return Conformance(subject, kept, raised=raised)
