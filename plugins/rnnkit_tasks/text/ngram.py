"""Character n-gram models with interpolated Witten-Bell smoothing, for comparison.

    P(c | h) = (count(h c) + kinds(h) P(c | h')) / (count(h) + kinds(h))

h is the context of `order` characters, h' the same without its first, kinds(h) the number of different characters
seen after h; below the empty context stands the uniform distribution.

Source: Witten & Bell, "The Zero-Frequency Problem", IEEE Transactions on Information Theory 37(4), 1991, method C,
interpolated as in Chen & Goodman 1998.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Symbols = NDArray[Any]
"""(N,) integers of any width."""

Numbers = NDArray[np.int64]

PIECE = 1_000_000  # symbols judged at once


class _Counts(NamedTuple):
    """What followed the contexts of one length. Contexts have numbers; the last stands for all that were not seen."""

    grams: Numbers
    """Sorted: number of the context x size of the alphabet + following symbol."""
    times: Numbers
    """Of each gram, and 0 for all others."""
    after: Numbers
    """How many symbols followed each context."""
    kinds: Numbers
    """How many different ones."""

    def find(self, grams: Numbers) -> Numbers:
        """Return the place of each gram, which is its number as a context of the next length."""
        at = np.minimum(np.searchsorted(self.grams, grams), len(self.grams) - 1)
        return np.where(self.grams[at] == grams, at, len(self.grams))


class NGrams:
    """The models of order 0 to `order`, fitted to `train`, of symbols below `alphabet`."""

    def __init__(self, train: Symbols, alphabet: int, order: int) -> None:
        self.alphabet = alphabet
        self.order = order
        self.end = train[len(train) - order :]
        self.counts: list[_Counts] = []
        contexts, following, known = np.zeros(len(train), dtype=np.int64), train, 1
        for _ in range(order + 1):
            grams, places, times = np.unique(contexts * alphabet + following, return_inverse=True, return_counts=True)
            after = np.bincount(contexts, minlength=known + 1)
            kinds = np.bincount(grams // alphabet, minlength=known + 1)
            self.counts.append(_Counts(grams, np.append(times, 0), after, kinds))
            # A context of the next length and where it ends: the grams found here, one step earlier.
            contexts, following, known = places[:-1], following[1:], len(grams)

    def bits(self, held_out: Symbols) -> list[float]:
        """Return the mean -log2 P of each order over `held_out`, which follows the training text."""
        means, before = np.zeros(self.order + 1), self.end
        for at in range(0, len(held_out), PIECE):
            piece = held_out[at : at + PIECE]
            text = np.concatenate([before, piece])
            means += self._bits(text, len(piece)) * (len(piece) / len(held_out))
            before = text[len(text) - self.order :]
        return [max(0.0, float(mean)) for mean in means]

    def _bits(self, text: Symbols, judged: int) -> NDArray[np.float64]:
        """Return the means over the last `judged` symbols of `text`, which has `order` more before."""
        means = []
        probability = np.full(judged, 1.0 / self.alphabet)
        contexts, following = np.zeros(len(text), dtype=np.int64), text
        for counts in self.counts:
            places = counts.find(contexts * self.alphabet + following)
            here = contexts[len(contexts) - judged :]
            after, kinds, times = counts.after[here], counts.kinds[here], counts.times[places[len(places) - judged :]]
            mixed = (times + kinds * probability) / np.maximum(after + kinds, 1)
            probability = np.where(after > 0, mixed, probability)
            means.append(-np.log2(probability).mean())
            contexts, following = places[:-1], following[1:]
        return np.array(means)


def bits_per_character(train: Symbols, held_out: Symbols, alphabet: int, order: int) -> float:
    """Return the mean -log2 P over `held_out`, which follows `train`; contexts are `order` characters long."""
    return NGrams(train, alphabet, order).bits(held_out)[order]
