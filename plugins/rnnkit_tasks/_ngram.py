"""Character n-gram model with interpolated Witten-Bell smoothing, for comparison.

    P(c | h) = (count(h c) + kinds(h) P(c | h')) / (count(h) + kinds(h))

h is the context of `order` characters, h' the same without its first, kinds(h) the number of different characters
seen after h; below the empty context stands the uniform distribution.

Source: Witten & Bell, "The Zero-Frequency Problem", IEEE Transactions on Information Theory 37(4), 1991, method C,
interpolated as in Chen & Goodman 1998.
"""

import numpy as np
from numpy.typing import NDArray

Symbols = NDArray[np.int64]


def bits_per_character(train: Symbols, held_out: Symbols, alphabet: int, order: int) -> float:
    """Give the mean -log2 P over `held_out`, which follows `train`; contexts are `order` characters long."""
    text = np.concatenate([train[len(train) - order :], held_out])
    probability = np.full(len(held_out), 1.0 / alphabet)
    for length in range(order + 1):
        contexts = _contexts(train, length, alphabet)
        grams, gram_counts = np.unique(contexts * alphabet + train[length:], return_counts=True)
        keys, counts = np.unique(contexts, return_counts=True)
        kind_keys, kind_counts = np.unique(grams // alphabet, return_counts=True)
        here = _contexts(text[order - length :], length, alphabet)
        count = _look_up(keys, counts, here)
        kinds = _look_up(kind_keys, kind_counts, here)
        together = _look_up(grams, gram_counts, here * alphabet + held_out)
        mixed = (together + kinds * probability) / np.maximum(count + kinds, 1)
        probability = np.where(count > 0, mixed, probability)
    return max(0.0, float(-np.log2(probability).mean()))


def _contexts(text: Symbols, length: int, alphabet: int) -> Symbols:
    """Number the `length` characters before each position that has as many: base `alphabet`."""
    steps = len(text) - length
    numbers = np.zeros(steps, dtype=np.int64)
    for offset in range(length):
        numbers = numbers * alphabet + text[offset : offset + steps]
    return numbers


def _look_up(keys: Symbols, values: Symbols, wanted: Symbols) -> Symbols:
    """Give the value of each wanted key, 0 where it was not seen; `keys` is sorted."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
