"""What a run learnt of its data beside its weights: labels, vocabulary or scale, and how files are read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnkit.errors import DataError, nearest
from rnnkit_tasks.forecast.scaling import Scale, check_size
from rnnkit_tasks.labelled.example import NO_LABEL, Example, Examples, Numbers
from rnnkit_tasks.labelled.vocabulary import Vocabulary

UNKNOWN = -1
"""Stands for a label that is not known."""

SHOWN = 8
"""Labels in a message."""


@dataclass(frozen=True)
class Learnt:
    """Of labelled sequences: how they are brought into a model's form."""

    labels: list[str]
    """K names."""
    counts: list[int]
    """How many of each train."""
    names: list[str]
    """D features; empty for symbols."""
    vocabulary: Vocabulary | None
    """Of texts and tokens."""
    scale: Scale | None
    """Of numbers."""
    reading: dict[str, Any]
    """How files are read."""

    @classmethod
    def of(
        cls, labels: list[str], training: Sequence[Example], names: list[str], tokens: str, reading: dict[str, Any]
    ) -> "Learnt":
        """Measure the sequences that train.

        Args:
            labels: K names.
            training: sequences.
            names: of the features; none: contents are texts or tokens.
            tokens: what a text is cut into.
            reading: how the file was read.

        Raises:
            DataError: a number is too large.
        """
        times = Counter(label for example in training for label in example.labels)
        counts = [times[label] for label in labels]
        if not names:
            vocabulary = Vocabulary.found((example.content for example in training), tokens)  # type: ignore[misc]
            return cls(labels, counts, names, vocabulary, None, reading)
        rows: Numbers = np.concatenate([np.asarray(example.content) for example in training])
        check_size(training[0].file, names, rows)
        return cls(labels, counts, names, None, Scale.measured(rows), reading)

    def checked_place(self, place: Any) -> int:
        """Return the place of a label that a run has kept; raise ValueError if it is none."""
        if type(place) is not int or not 0 <= place < len(self.labels):
            raise ValueError(f"{place!r} is no place of a label")
        return place

    @property
    def input_size(self) -> int:
        """Width of the inputs, or the number of symbols."""
        return len(self.names) if self.vocabulary is None else self.vocabulary.size

    def encoded(self, example: Example, most: int | None = None) -> Tensor:
        """Return a sequence as a model reads it: numbers (T, D) to scale, or symbols (T,); at most `most` steps.

        Raises:
            DataError: it has no step, or a number that is too large.
        """
        content = example.content
        if self.vocabulary is None:
            assert self.scale is not None
            values = self.scale.apply(example.place, self.names, np.asarray(content)[:most])
            return torch.from_numpy(values).to(torch.get_default_dtype())
        symbols = torch.from_numpy(self.vocabulary.encode(content))[:most]  # type: ignore[arg-type]
        if not len(symbols):
            what = "the text is empty" if not content else "the text has no words"
            raise DataError(f"{example.place}: {what}; write one, or leave it out")
        return symbols

    def places(self, example: Example) -> list[int]:
        """Return the place of each of a sequence's labels; -1 where it is not known.

        Raises:
            DataError: a label is none of those that the run knows.
        """
        known = {NO_LABEL: UNKNOWN} | {label: place for place, label in enumerate(self.labels)}
        for step, label in enumerate(example.labels):
            if label not in known:
                place = f"{example.file}, line {example.lines[step]}" if example.lines else example.file
                shown = ", ".join(self.labels[:SHOWN]) + (", ..." if len(self.labels) > SHOWN else "")
                raise DataError(
                    f"{place}: label {label[:40]!r} is none that the run knows{nearest(label, self.labels)} ({shown}); "
                    "correct it, or leave it empty"
                )
        return [known[label] for label in example.labels]

    def check_labelled(self, example: Example) -> None:
        """Raise DataError unless every label of a sequence is there and known."""
        places = self.places(example)
        if UNKNOWN in places:
            step = places.index(UNKNOWN)
            place = f"{example.file}, line {example.lines[step]}" if example.lines else example.file
            raise DataError(f"{place}: the label is missing; give one, or leave it out")

    def check_alike(self, examples: Examples) -> None:
        """Raise DataError unless examples have the features that were learnt from, or like those have none.

        Features without names, as those of JSON have, are taken in their order.
        """
        unnamed = [str(place + 1) for place in range(len(self.names))]
        if examples.names == self.names or (
            len(examples.names) == len(self.names) and unnamed in (examples.names, self.names)
        ):
            return
        if examples.numeric != bool(self.names):
            kinds = {True: "numbers", False: "texts"}
            raise DataError(
                f"{examples.source} holds {kinds[examples.numeric]}, and the run learnt from "
                f"{kinds[bool(self.names)]}; give data of that kind"
            )
        raise DataError(
            f"{examples.source} has {len(examples.names)} feature(s) ({', '.join(examples.names[:SHOWN])}), and the "
            f"run learnt from {len(self.names)} ({', '.join(self.names[:SHOWN])}); give the same ones in one order"
        )

    def to_json(self) -> dict[str, Any]:
        """Return what JSON takes."""
        return {
            "labels": self.labels,
            "counts": self.counts,
            "names": self.names,
            "vocabulary": None if self.vocabulary is None else self.vocabulary.to_json(),
            "scale": None if self.scale is None else self.scale.to_json(),
            "reading": self.reading,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Learnt":
        """Read what `to_json` returned.

        Raises:
            LookupError, TypeError, ValueError: it is something else.
        """
        labels, counts, names = values["labels"], values["counts"], values["names"]
        if not all(isinstance(label, str) for label in [*labels, *names]) or len(set(labels)) < len(labels):
            raise ValueError("labels are not different names")
        if (
            len(labels) < 2
            or len(counts) != len(labels)
            or not all(type(count) is int and count >= 0 for count in counts)
        ):
            raise ValueError("it has no count of each of two labels or more")
        vocabulary = None if values["vocabulary"] is None else Vocabulary.from_json(values["vocabulary"])
        scale = None if values["scale"] is None else Scale.from_json(values["scale"], len(names))
        if (vocabulary is None) == (scale is None) or not isinstance(values["reading"], dict):
            raise ValueError("it has not one of vocabulary and scale")
        return cls(list(labels), list(counts), list(names), vocabulary, scale, dict(values["reading"]))
