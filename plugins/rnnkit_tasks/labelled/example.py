"""Sequences with labels, and where in which file each stands."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError

Numbers: TypeAlias = NDArray[np.float64]

Content: TypeAlias = str | list[str] | Numbers
"""A text; or T tokens; or numbers (T, D)."""

WHOLE = re.compile(r"-?\d{1,18}")

NO_LABEL = ""
"""Stands for a label that is not known."""


class Example(NamedTuple):
    """One sequence."""

    content: Content
    labels: Sequence[str]
    """One; or T, where each step has its own."""
    file: str
    """As a message and a prediction name it; "": made, of no file."""
    lines: Sequence[int] = ()
    """In the file: one, or one for each of T steps; empty where the file as a whole is the sequence."""

    @property
    def place(self) -> str:
        """Where it stands, as a message begins."""
        return f"{self.file}, line {self.lines[0]}" if self.lines else self.file


@dataclass
class Examples:
    """What was read, in the order of the file."""

    source: str
    """What messages call it."""
    items: list[Example]
    names: list[str] = field(default_factory=list)
    """D features; empty for texts and tokens."""
    reading: dict[str, Any] = field(default_factory=dict)
    """How it was read, so that others are read alike: names of columns, delimiter, header."""
    notes: list[str] = field(default_factory=list)
    """What was guessed or left out, for the summary."""
    pieces: bool = False
    """Whether they are pieces of one sequence, in order."""

    @property
    def numeric(self) -> bool:
        """Whether steps hold numbers; else they are symbols."""
        return bool(self.names)


def labels_of(examples: Examples) -> list[str]:
    """Return the labels that occur, in order: whole numbers by size, words by the alphabet.

    Raises:
        DataError: an example has none; or there is but one in all.
    """
    found: set[str] = set()
    for example in examples.items:
        for step, label in enumerate(example.labels):
            if label == NO_LABEL:
                place = f"{example.file}, line {example.lines[step]}" if example.lines else example.file
                raise DataError(f"{place}: the label is missing; give one, or leave it out")
            found.add(label)
    if len(found) == 1:
        raise DataError(
            f"{examples.source} has one label alone, {next(iter(found))[:40]!r}; there is nothing to tell apart; "
            "give sequences with another one too"
        )
    whole = all(map(WHOLE.fullmatch, found))
    return sorted(found, key=lambda label: (int(label) if whole else 0, label))
