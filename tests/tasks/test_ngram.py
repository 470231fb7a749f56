"""The n-gram model against its definition, written out with dictionaries."""

import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest

from rnnkit_tasks.text.ngram import NGrams, bits_per_character


class ByDictionary:
    """P(c | h) = (count(h c) + kinds(h) P(c | h')) / (count(h) + kinds(h)), down to the uniform distribution."""

    def __init__(self, train, alphabet, order):
        self.alphabet = alphabet
        self.following = defaultdict(Counter)
        for length in range(order + 1):
            for at in range(length, len(train)):
                self.following[tuple(train[at - length : at])][train[at]] += 1

    def __call__(self, symbol, context):
        shorter = self(symbol, context[1:]) if context else 1 / self.alphabet
        if context not in self.following:
            return shorter
        seen = self.following[context]
        return (seen[symbol] + len(seen) * shorter) / (seen.total() + len(seen))


def texts(alphabet, seed):
    """Return a text with habits, and one that shares some of them: contexts both seen and unseen."""
    choose = random.Random(seed)
    train = [0]
    for _ in range(400):
        train.append((train[-1] + choose.choice([1, 1, 2])) % (alphabet - 1))
    held_out = train[50:90] + [choose.randrange(alphabet) for _ in range(60)]
    return train, held_out


def bits(train, held_out, alphabet, order):
    return bits_per_character(np.array(train), np.array(held_out), alphabet, order)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("alphabet", [3, 7])
def test_equals_its_definition(alphabet, order):
    train, held_out = texts(alphabet, seed=order)
    model, text = ByDictionary(train, alphabet, order), train + held_out
    positions = range(len(train), len(text))
    expected = -sum(math.log2(model(text[at], tuple(text[at - order : at]))) for at in positions) / len(held_out)
    assert bits(train, held_out, alphabet, order) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_probabilities_add_up_to_one_for_contexts_seen_and_unseen(order):
    alphabet = 6
    train, _ = texts(alphabet, seed=0)
    unseen = [alphabet - 1] * order  # a symbol that the training text lacks
    for context in (train[10 : 10 + order], unseen, [0, *unseen][:order]):
        # the held-out text is the context and one more symbol: what that adds is its -log2 P
        known = bits(train, context, alphabet, order) * len(context) if context else 0.0
        whole = [bits(train, [*context, symbol], alphabet, order) * (len(context) + 1) for symbol in range(alphabet)]
        assert sum(2 ** (known - total) for total in whole) == pytest.approx(1, rel=1e-12)


def test_a_text_that_is_certain_costs_next_to_nothing():
    train = [0, 1, 2] * 2000
    assert 0 < bits(train, [0, 1, 2] * 10, 3, 3) < 0.01


def test_an_alphabet_so_large_that_its_grams_are_not_numbers():
    """Ten thousand symbols to the fifth power are more than an int64 holds."""
    train, held_out = texts(7, seed=0)
    spread = [symbol * 10_000 // 7 for symbol in train], [symbol * 10_000 // 7 for symbol in held_out]
    assert 10_000**5 > 2**63
    model, text = ByDictionary(spread[0], 10_000, 4), spread[0] + spread[1]
    expected = -sum(math.log2(model(text[at], tuple(text[at - 4 : at]))) for at in range(len(train), len(text))) / len(
        held_out
    )
    assert bits(*spread, 10_000, 4) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("piece", [1, 2, 7, 99])
def test_a_text_judged_in_pieces(monkeypatch, piece):
    train, held_out = texts(5, seed=1)
    whole = NGrams(np.array(train), 5, 3).bits(np.array(held_out))
    monkeypatch.setattr("rnnkit_tasks.text.ngram.PIECE", piece)
    assert NGrams(np.array(train), 5, 3).bits(np.array(held_out)) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("width", [np.uint8, np.int16, np.int32])
def test_the_width_of_the_numbers_does_not_matter(width):
    train, held_out = texts(7, seed=2)
    narrow = NGrams(np.array(train, width), 7, 4).bits(np.array(held_out, width))
    assert narrow == [bits(train, held_out, 7, order) for order in range(5)]
