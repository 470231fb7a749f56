"""How good labels are: accuracy, and precision, recall and F1 of each label."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import rnnkit

Places = NDArray[np.int64]
Numbers = NDArray[np.float64]

OURS, ALL = "this run", "(all)"


class Scores(NamedTuple):
    """Of labels that were given, (K,) each; 0 where nothing is there to divide by."""

    precision: Numbers
    recall: Numbers
    f1: Numbers
    support: Places
    """Rows that have the label."""
    judged: NDArray[np.bool_]
    """Whether some row has the label, or was given it."""
    accuracy: float

    @classmethod
    def of(cls, given: Places, actual: Places, labels: int) -> "Scores":
        """Judge rows (N,), N >= 1, of which each has one of so many labels."""
        right = np.bincount(actual[given == actual], minlength=labels)
        support, often = np.bincount(actual, minlength=labels), np.bincount(given, minlength=labels)
        return cls(
            right / np.maximum(often, 1),
            right / np.maximum(support, 1),
            2 * right / np.maximum(often + support, 1),
            support,
            often + support > 0,
            float((given == actual).mean()),
        )

    def mean(self, values: Numbers) -> float:
        """Return the mean of one of them over the labels that are judged, each counting alike: F1's is the macro F1."""
        return float(values[self.judged].mean())


def macro_f1(given: Places, actual: Places, labels: int) -> float:
    """Return the mean F1 of the labels that some row has or was given."""
    scores = Scores.of(given, actual, labels)
    return scores.mean(scores.f1)


def score_rows(
    labels: Sequence[str], given: Mapping[str, Places], actual: Places, spans: Mapping[str, float] | None = None
) -> tuple[rnnkit.LabelScore, ...]:
    """Return how good each method is all in all, and how good this run is at each label.

    Args:
        labels: K names.
        given: (N,) places of the labels that each method gives, by its name; "this run" first.
        actual: (N,) true ones; -1 where they are not known: those rows are left out.
        spans: F1 of whole spans, by method.
    """
    known = actual >= 0
    if not known.any():
        return ()
    rows = []
    for method, places in given.items():
        scores = Scores.of(places[known], actual[known], len(labels))
        precision, recall, f1 = (scores.mean(values) for values in (scores.precision, scores.recall, scores.f1))
        span_f1 = (spans or {}).get(method)
        rows.append(rnnkit.LabelScore(ALL, method, precision, recall, f1, scores.accuracy, int(known.sum()), span_f1))
    ours = Scores.of(given[OURS][known], actual[known], len(labels))
    for place, label in enumerate(labels):
        support = int(ours.support[place])
        judged = bool(ours.judged[place])
        rows.append(
            rnnkit.LabelScore(
                label,
                OURS,
                float(ours.precision[place]) if judged else None,
                float(ours.recall[place]) if support else None,
                float(ours.f1[place]) if judged else None,
                None,
                support,
            )
        )
    return tuple(rows)


def unbeaten(scores: Sequence[rnnkit.LabelScore]) -> list[str]:
    """Say which methods are as accurate as this run or more; at most one sentence."""
    whole = {score.method: score.accuracy or 0.0 for score in scores if score.label == ALL}
    better = [method for method, accuracy in whole.items() if method != OURS and accuracy >= whole[OURS]]
    return [f"this run does not beat {', '.join(better)} (by accuracy)"] if better else []
