"""Labels that a model gives to sequences, or to their steps: with probabilities, beside the truth where it is known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnnkit.core.labelling_plot import counts, draw, shares_right
from rnnkit.core.prediction import Figure, Prediction
from rnnkit.support.figures import black_on_nothing, svg_of

Numbers: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int64]

UNKNOWN = -1
"""Stands for the label of a row whose truth is not known."""

NAMED = 5
"""Labels of which the sentence for a picture tells how many are right."""


class LabelScore(NamedTuple):
    """How good a method was, at one label or all in all."""

    label: str
    """"(all)": precision, recall and F1 are means over the labels, each counting alike."""
    method: str
    """"this run", or what it is held against."""
    precision: float | None
    """Share of the rows that were given this label which have it; 0 where none was given it."""
    recall: float | None
    """Share of the rows with this label which were given it; None where none has it."""
    f1: float | None
    """Harmonic mean of the two."""
    accuracy: float | None
    """Share of all rows that are right; None for a single label."""
    rows: int
    """With this label, of those whose truth is known."""
    span_f1: float | None = None
    """F1 of whole spans, of labels that mark these; None for others."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Labelling(Prediction):
    """Labels of N rows, each one of K."""

    index: Mapping[str, Sequence[str]]
    """Where the rows come from, N texts a column: "file" and "line", for instance."""

    labels: tuple[str, ...]
    """K names."""

    probabilities: Numbers
    """(N, K) of each label; a row has the label of the greatest."""

    actual: Places
    """(N,) the place of the true label among `labels`; -1 where it is not known."""

    every: bool = True
    """Whether the table has the probability of every label, or of that given alone."""

    rows_are: str = "sequences"
    """What has a label: "sequences" or "steps"."""

    scores: tuple[LabelScore, ...] = ()
    """Of this run and of what it is held against, all in all; then of this run, label by label. Empty where no truth
    is known."""

    notes: tuple[str, ...] = ()

    @property
    def given(self) -> Places:
        """(N,) the place of the label that each row is given."""
        return np.asarray(self.probabilities.argmax(1), dtype=np.int64)

    def columns(self) -> dict[str, list[str]]:
        """Return where the rows come from, `label`, `probability`, `probability_LABEL` of each, and `actual`."""
        table = {name: list(texts) for name, texts in self.index.items()}
        given = self.given.tolist()
        table["label"] = [self.labels[place] for place in given]
        table["probability"] = _written(self.probabilities.max(1, initial=0))
        if self.every:
            for place, label in enumerate(self.labels):
                table[f"probability_{label}"] = _written(self.probabilities[:, place])
        table["actual"] = ["" if place == UNKNOWN else self.labels[place] for place in self.actual.tolist()]
        return table

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield a row at a time: labels as text, probabilities as numbers, None where the truth is not known."""
        columns = self.columns()
        words = {*self.index, "label"}
        for cells in zip(*columns.values(), strict=True):
            row: dict[str, Any] = dict(zip(columns, cells, strict=True))
            yield {
                name: cell if name in words else (cell or None) if name == "actual" else float(cell)
                for name, cell in row.items()
            }

    def figures(self) -> list[dict[str, Figure]]:
        """Return accuracy, F1, precision and recall, all in all and label by label."""
        rows: list[dict[str, Figure]] = []
        spans = any(score.span_f1 is not None for score in self.scores)
        for score in self.scores:
            row: dict[str, Figure] = {"label": score.label, "method": score.method, "accuracy": score.accuracy}
            row |= {"span F1": score.span_f1} if spans else {}
            row |= {"F1": score.f1, "precision": score.precision, "recall": score.recall, "rows": score.rows}
            rows.append(row)
        return rows

    def plot(self) -> Any:
        """Draw the confusion matrix of the rows whose truth is known, or how often each label is given if none is.

        Raises:
            UsageError: there is no matplotlib.
        """
        return draw(self.labels, self.given, self.actual, self.rows_are)

    def describe(self) -> str:
        """Return what the picture shows, in a sentence."""
        matrix = counts(len(self.labels), self.given, self.actual)
        known = int(matrix.sum())
        if not known:
            often = np.bincount(self.given, minlength=len(self.labels))
            order = np.argsort(-often, kind="stable")[:NAMED].tolist()
            told = ", ".join(f"{self.labels[place]} {often[place]}" for place in order)
            return f"How often each of {len(self.labels)} labels is given to {len(self.given)} {self.rows_are}: {told}"
        order = np.argsort(-matrix.sum(1), kind="stable")[:NAMED].tolist()
        right = shares_right(matrix)
        told = ", ".join(f"{self.labels[place]} {right[place]:.0%}" for place in order if matrix[place].any())
        return (
            f"Confusion matrix of {known} {self.rows_are} and {len(self.labels)} labels, {matrix.trace() / known:.0%} "
            f"of all on its diagonal; of those with the label, right are: {told}"
        )

    def svg(self) -> str:
        """Return the picture as SVG for a page, in the colours of the text around it.

        Raises:
            UsageError: there is no matplotlib.
        """
        with black_on_nothing():
            return svg_of(self.plot(), self.describe())


def _written(numbers: Numbers) -> list[str]:
    return [f"{number:.6f}" for number in numbers.tolist()]
