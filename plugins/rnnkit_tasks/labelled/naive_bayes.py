"""Naive Bayes on n-grams of symbols, for comparison.

    score(c) = log P(c) + the sum over the n-grams of a text of log P(gram | c)
    P(gram | c) = (texts of c with the gram + 1) / (the sum of the same over all n-grams)

An n-gram counts once a text. The 20,000 that most texts have are used.

Source: Wang & Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification", ACL 2012: multinomial
naive Bayes with counts made binary.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Numbers = NDArray[np.float64]

MOST = 20_000
"""N-grams."""

DIGITS = 4
"""Of a kept logarithm, behind the point."""


@dataclass(frozen=True)
class NaiveBayes:
    """A fitted model.

    Attributes:
        grams: (G,) sorted codes of the n-grams; see `_codes`.
        logs: (K, G) log P(gram | label).
        priors: (K,) log P(label).
        alphabet: symbols are below.
        order: of the longest n-grams.
    """

    grams: Places
    logs: Numbers
    priors: Numbers
    alphabet: int
    order: int

    @classmethod
    def fitted(cls, texts: Sequence[Places], places: Places, labels: int, alphabet: int, order: int) -> "NaiveBayes":
        """Fit to texts (T,) of symbols, with the place of each one's label (N,)."""
        each = [np.unique(_codes(text, alphabet, order)) for text in texts]
        grams, times = np.unique(np.concatenate(each), return_counts=True)
        kept = np.sort(np.argsort(-times, kind="stable")[:MOST])
        grams = grams[kept]
        counts = np.ones((labels, len(grams)))
        for own, place in zip(each, places.tolist(), strict=True):
            counts[place, _found(grams, own)] += 1
        priors = np.log((np.bincount(places, minlength=labels) + 1) / (len(places) + labels))
        logs = np.log(counts / counts.sum(1, keepdims=True))
        return cls(grams, logs.round(DIGITS), priors.round(DIGITS), alphabet, order)

    def given(self, texts: Sequence[Places]) -> Places:
        """Return the place of the likeliest label of each text (N,)."""
        return np.array([int(self._logs(text).argmax()) for text in texts], dtype=np.int64)

    def _logs(self, text: Places) -> Numbers:
        own = np.unique(_codes(text, self.alphabet, self.order))
        scores: Numbers = self.priors + self.logs[:, _found(self.grams, own)].sum(1)
        return scores

    def to_json(self) -> dict[str, Any]:
        """Return what JSON takes."""
        arrays = {"grams": self.grams.tolist(), "logs": self.logs.tolist(), "priors": self.priors.tolist()}
        return {**arrays, "alphabet": self.alphabet, "order": self.order}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], labels: int) -> "NaiveBayes":
        """Read what `to_json` returned, of so many labels.

        Raises:
            LookupError, TypeError, ValueError: it is something else.
        """
        grams = np.array(values["grams"], dtype=np.int64)
        logs, priors = (np.array(values[key], dtype=np.float64) for key in ("logs", "priors"))
        if logs.shape != (labels, len(grams)) or priors.shape != (labels,):
            raise ValueError(f"it has no n-grams of {labels} labels")
        return cls(grams, logs, priors, int(values["alphabet"]), int(values["order"]))


def order_of(alphabet: int) -> int:
    """Return the order of the n-grams: 4, or 2 of symbols so many that they are words, mostly."""
    return 4 if alphabet < 1000 else 2


def _codes(text: Places, alphabet: int, order: int) -> Places:
    """Return a number for each n-gram of 1 to `order` symbols, other ones for other n-grams."""
    return np.concatenate(list(_each_order(text, alphabet, order)))


def _each_order(text: Places, alphabet: int, order: int) -> Iterator[Places]:
    codes = text + 1
    for length in range(1, min(order, len(text)) + 1):
        yield codes
        codes = codes[:-1] * (alphabet + 1) + (text[length:] + 1)


def _found(grams: Places, own: Places) -> Places:
    """Return where in sorted `grams` those of `own` stand that are there."""
    at = np.minimum(np.searchsorted(grams, own), len(grams) - 1)
    found: Places = at[grams[at] == own]
    return found
