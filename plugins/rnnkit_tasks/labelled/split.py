"""Which sequences train, validate and are kept for a test: drawn once, and kept with a run."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

from rnnkit.errors import DataError
from rnnkit_tasks.labelled.example import Example, Examples

TRAIN, HELD_OUT, TEST = "t", "v", "k"
"""How a sequence is marked: it trains, validates, or is kept."""

SEED = 0


class Split(NamedTuple):
    """The part of each sequence, in the order of the file."""

    marks: str
    files: tuple[str, ...] = ()
    """Names of the files of a folder, in the same order; empty for one file."""
    digests: tuple[str, ...] = ()
    """Of one file, what each sequence is known again by, wherever it stands then; empty where its place tells."""

    def places(self, mark: str) -> list[int]:
        """Return the places of the sequences of a part."""
        return [place for place, own in enumerate(self.marks) if own == mark]

    def counts(self) -> tuple[int, int, int]:
        """Return how many train, validate and are kept."""
        train, held_out, test = (self.marks.count(mark) for mark in (TRAIN, HELD_OUT, TEST))
        return train, held_out, test

    def selected(self, examples: Examples) -> tuple[list[Example], int]:
        """Return the sequences of a run, read again, and how many more there are now.

        Raises:
            DataError: some are gone.
        """
        if not self.files:
            if len(examples.items) < len(self.marks):
                raise DataError(
                    f"{examples.source} has {len(examples.items)} sequence(s), {len(self.marks)} when the run was "
                    "made; give back that file"
                )
            if self.digests:
                return self._known(examples)
            return examples.items[: len(self.marks)], len(examples.items) - len(self.marks)
        known = {relative(example.file, examples.source): example for example in examples.items}
        gone = next((file for file in self.files if file not in known), None)
        if gone is not None:
            raise DataError(f"{examples.source} has no file {gone}, which the run knew; give it back")
        return [known[file] for file in self.files], len(known) - len(self.files)

    def _known(self, examples: Examples) -> tuple[list[Example], int]:
        """Return the sequences of a run by what they hold."""
        there: dict[str, list[Example]] = {}
        for example in reversed(examples.items):
            there.setdefault(digest_of(example), []).append(example)
        found = [there[digest].pop() if there.get(digest) else None for digest in self.digests]
        kept = [example for example in found if example is not None]
        if len(kept) < len(found):
            raise DataError(
                f"{examples.source}: {len(found) - len(kept)} of the {len(found)} sequence(s) that the run knew have "
                "changed or are gone; give back that file"
            )
        return kept, len(examples.items) - len(kept)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON takes."""
        return {"marks": self.marks, "files": list(self.files), "digests": list(self.digests)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Split":
        """Read what `to_json` returned.

        Raises:
            LookupError, TypeError, ValueError: it is something else.
        """
        marks, files, digests = values["marks"], tuple(values["files"]), tuple(values.get("digests", ()))
        if len(digests) not in (0, len(marks)):
            raise ValueError("split has not a digest for each sequence")
        if not isinstance(marks, str) or set(marks) - {TRAIN, HELD_OUT, TEST} or len(files) not in (0, len(marks)):
            raise ValueError("split is not one of sequences")
        if TRAIN not in marks or HELD_OUT not in marks:
            raise ValueError("split has nothing that trains, or nothing that validates")
        return cls(marks, files, digests)


def digest_of(example: Example) -> str:
    """Return what a sequence with its labels is known again by."""
    content = example.content.tolist() if isinstance(example.content, np.ndarray) else example.content
    return sha256(repr((content, list(example.labels))).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def drawn(examples: Examples, shares: Sequence[float]) -> str:
    """Draw the parts, of each label the same shares, by a fixed seed; return the marks.

    Args:
        examples: with one label each.
        shares: that train, validate and are kept; they sum up to 1.

    Raises:
        DataError: a label has too few sequences to train and to validate.
    """
    draw = np.random.default_rng(SEED)
    marks = np.full(len(examples.items), TRAIN)
    labels = np.array([example.labels[0] for example in examples.items])
    for label in np.unique(labels):
        places = draw.permutation(np.flatnonzero(labels == label))
        if len(places) < 2:
            example = examples.items[int(places[0])]
            raise DataError(
                f"{example.place}: the only sequence with label {str(label)[:40]!r}; a label needs one to train and "
                "one to validate, so give another one, or leave it out"
            )
        held_out, test = _sizes(len(places), shares)
        marks[places[:held_out]] = HELD_OUT
        marks[places[held_out : held_out + test]] = TEST
    return "".join(marks.tolist())


def in_turn(count: int, shares: Sequence[float], *, shuffled: bool) -> str:
    """Return the marks of `count` sequences: drawn by a fixed seed, or in turn, the first ones train."""
    held_out, test = _sizes(count, shares)
    marks = np.array([*TRAIN * (count - held_out - test), *HELD_OUT * held_out, *TEST * test])
    return "".join((np.random.default_rng(SEED).permutation(marks) if shuffled else marks).tolist())


def _sizes(count: int, shares: Sequence[float]) -> tuple[int, int]:
    """Return how many of `count` >= 2 validate, one at least, and how many are kept; one at least trains."""
    held_out = min(max(1, round(count * shares[1])), count - 1)
    return held_out, min(round(count * shares[2]), count - held_out - 1)


def relative(file: str, source: str) -> str:
    """Return the name of a file within a folder, with / between its parts."""
    return file.removeprefix(source).replace("\\", "/").lstrip("/")
