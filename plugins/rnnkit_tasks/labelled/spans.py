"""Spans of steps that labels mark by their beginning: B-NAME, then I-NAME, and O outside of all.

A span begins at B-NAME, and at an I-NAME that does not go on with one of the same name; it ends before the next step
that does not go on with it.

Source: Ramshaw & Marcus, "Text Chunking using Transformation-Based Learning", 1995, for the labels; spans and their F1
as in the shared task of CoNLL 2000 (Tjong Kim Sang & Buchholz).
"""

from collections.abc import Sequence
from typing import NamedTuple

OUTSIDE = "O"


class Span(NamedTuple):
    """Steps `first` to `last` of a sequence."""

    sequence: int
    name: str
    first: int
    last: int


def mark_spans(labels: Sequence[str]) -> bool:
    """Tell whether labels mark spans: all are O, B-NAME or I-NAME, and one at least begins a span."""
    marks = {label[:2] for label in labels if label != OUTSIDE}
    return "B-" in marks and marks <= {"B-", "I-"} and all(len(label) > 2 for label in labels if label != OUTSIDE)


def spans_of(sequences: Sequence[Sequence[str]]) -> set[Span]:
    """Return the spans that the labels of each sequence mark."""
    found: set[Span] = set()
    for number, labels in enumerate(sequences):
        name, first = "", 0
        for step, label in enumerate([*labels, OUTSIDE]):
            goes_on = label == f"I-{name}" and name != ""
            if name and not goes_on:
                found.add(Span(number, name, first, step - 1))
            if not goes_on:
                name, first = label[2:] if label != OUTSIDE else "", step
    return found


def span_f1(given: Sequence[Sequence[str]], actual: Sequence[Sequence[str]]) -> float:
    """Return the F1 of spans: right are those whose name, beginning and end are; 0 where there are none."""
    ours, truth = spans_of(given), spans_of(actual)
    return 2 * len(ours & truth) / max(1, len(ours) + len(truth))
