"""Conformance: promises, and what became of each."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Protocol

import torch

from rnnkit.errors import CheckError, RnnkitError, one_line
from rnnkit.support import html_page
from rnnkit.support.random_states import drawn_apart
from rnnkit.testing.author import Place
from rnnkit.testing.certificate import Certificate

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
    certificate: Certificate | None = None
    """How far a cell's gradients are from differences; None where none were compared."""

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


def built(subject: str, build: Callable[[], Checker]) -> Conformance:
    """Build what is checked and run its promises; what cannot be built has one sentence, and no promises to keep."""
    try:
        checker = build()
    except (Exception, SystemExit) as error:
        return Conformance(subject, {"can be built": [f"{subject} cannot be built: {one_line(error)}"]})
    return keep_promises(subject, checker.promises())


def keep_promises(
    subject: str,
    promises: dict[str, Promise],
    needs: Mapping[str, Collection[str]] = MappingProxyType({}),
    place_of: Callable[[Exception], Place | None] = lambda error: None,
) -> Conformance:
    """Run each promise; an exception breaks the promise under test and no other.

    Args:
        subject: what sentences begin with.
        promises: by name.
        needs: for a promise, those without which it means nothing: where one is broken, it is left out, or it would be
            blamed for the consequences.
        place_of: finds the author's line that an exception came through.
    """
    kept: dict[str, list[str]] = {}
    raised: Exception | None = None
    with drawn_apart():
        for label, promise in promises.items():
            if any(kept.get(other) for other in needs.get(label, ())):
                continue
            torch.manual_seed(0)
            sentences: list[str] = []
            try:
                sentences.extend(promise())
            except RnnkitError as error:
                sentences.append(located(str(error), place_of(error)))
            except SystemExit:
                sentences.append(f"{label}: the code ends the program (SystemExit); raise an error instead")
            except Exception as error:
                sentences.append(located(f"{label}: {one_line(error)}", place_of(error)))
                raised = error if any(label in others for others in needs.values()) else raised
            kept[label] = [s if s.startswith(subject) else f"{subject}: {s}" for s in sentences]
    return Conformance(subject, kept, raised=raised)


def located(sentence: str, *places: Place | None) -> str:
    """Return a sentence with the first place that is known behind it, as FILE:LINE in brackets."""
    place = next(filter(None, places), None)
    return f"{sentence} ({place})" if place else sentence
