"""Simple methods that a model of sequences with one label is held against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rnnkit_tasks.labelled.learnt import Learnt
from rnnkit_tasks.labelled.linear_labels import LinearLabels, summarised
from rnnkit_tasks.labelled.naive_bayes import NaiveBayes, order_of

Places = NDArray[np.int64]

MAJORITY, BAYES, RIDGE = "majority label", "naive Bayes", "ridge"


@dataclass(frozen=True)
class ClassRivals:
    """Fitted to what trains: the most frequent label, and naive Bayes on n-grams or ridge regression on summaries."""

    majority: int
    """Its place."""
    model: NaiveBayes | LinearLabels

    @classmethod
    def fitted(
        cls, learnt: Learnt, training: Sequence[Tensor], places: Places, judged: Sequence[Tensor], truth: Places
    ) -> "ClassRivals":
        """Fit to sequences (T,) or (T, D) and the places of their labels (N,); the penalty of ridge goes by others."""
        labels, majority = len(learnt.labels), int(np.argmax(learnt.counts))
        if learnt.vocabulary is None:
            rows, others = (summarised([s.double().numpy() for s in part]) for part in (training, judged))
            return cls(majority, LinearLabels.fitted(rows, places, others, truth, labels))
        texts, alphabet = [s.numpy() for s in training], learnt.vocabulary.size
        return cls(majority, NaiveBayes.fitted(texts, places, labels, alphabet, order_of(alphabet)))

    def given(self, sequences: Sequence[Tensor]) -> dict[str, Places]:
        """Return the places of the labels (N,) that each method gives, by its name."""
        most = np.full(len(sequences), self.majority, dtype=np.int64)
        if isinstance(self.model, NaiveBayes):
            return {MAJORITY: most, BAYES: self.model.given([s.numpy() for s in sequences])}
        return {MAJORITY: most, RIDGE: self.model.given(summarised([s.double().numpy() for s in sequences]))}

    def to_json(self) -> dict[str, Any]:
        """Return what JSON takes."""
        return {"majority": self.majority, "model": self.model.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], learnt: Learnt) -> "ClassRivals":
        """Read what `to_json` returned.

        Raises:
            LookupError, TypeError, ValueError: it is something else.
        """
        labels, majority = len(learnt.labels), learnt.checked_place(values["majority"])
        if learnt.vocabulary is None:
            return cls(majority, LinearLabels.from_json(values["model"], 5 * len(learnt.names) + 1, labels))
        return cls(majority, NaiveBayes.from_json(values["model"], labels))
