"""Texts and tokens as symbols: characters, words or bytes that occur in training, and one symbol for all others."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError
from rnnkit_tasks.text.letters import compiled, marks_in

Symbols = NDArray[np.int64]

CHAR, WORD, BYTE, TOKEN = "char", "word", "byte", "token"
KINDS = (CHAR, WORD, BYTE)
"""What a text is cut into; tokens come from a file that has cut it already."""

NOUNS = {CHAR: "characters", WORD: "words", TOKEN: "tokens"}

UNKNOWN = 0
"""The symbol of all that is not in the vocabulary."""

OFTEN = 2
"""Times that a symbol must occur in training to be one: so the symbol of the unknown is learnt too."""

LARGEST = 20_000
"""Symbols, the most frequent ones."""


@dataclass(frozen=True)
class Vocabulary:
    """The symbols of texts, from 1 on; 0 is the unknown. Of bytes there are 256, all known."""

    tokens: str
    """What a text is cut into."""
    symbols: tuple[str, ...] = ()

    @classmethod
    def found(cls, contents: Iterable[str | list[str]], tokens: str) -> "Vocabulary":
        """Return the symbols that occur in training, at least twice each, in order."""
        if tokens == BYTE:
            return cls(BYTE)
        counts: Counter[str] = Counter()
        for content in contents:
            counts.update(cut(content, tokens))
        often = [(-count, symbol) for symbol, count in counts.items() if count >= OFTEN]
        return cls(tokens, tuple(sorted(symbol for _, symbol in sorted(often)[:LARGEST])))

    @property
    def size(self) -> int:
        """How many symbols there are, the unknown among them."""
        return 256 if self.tokens == BYTE else len(self.symbols) + 1

    def check(self, source: str) -> None:
        """Raise DataError if there is no symbol but the unknown, so that all texts of `source` would be alike."""
        if self.size == 1:
            way = "" if self.tokens == TOKEN else ", or cut texts otherwise with tokens="
            raise DataError(
                f"{source}: none of the {NOUNS[self.tokens]} that train occurs {OFTEN} times, so that all would be one "
                f"unknown; give more of them{way}"
            )

    def encode(self, content: str | list[str]) -> Symbols:
        """Return the symbols (T,) of a text, or of tokens."""
        if self.tokens == BYTE:
            text = content if isinstance(content, str) else " ".join(content)
            return np.frombuffer(text.encode(), np.uint8).astype(np.int64)
        return np.array([self._places.get(symbol, UNKNOWN) for symbol in cut(content, self.tokens)], dtype=np.int64)

    def unknown(self, symbols: Symbols) -> int:
        """Return how many symbols stand for the unknown."""
        return 0 if self.tokens == BYTE else int((symbols == UNKNOWN).sum())

    @cached_property
    def _places(self) -> dict[str, int]:
        return {symbol: place for place, symbol in enumerate(self.symbols, start=UNKNOWN + 1)}

    def __str__(self) -> str:
        if self.tokens == BYTE:
            return "256 bytes"
        return f"{len(self.symbols)} {NOUNS[self.tokens]} that train at least {OFTEN} times, all others as one unknown"

    def to_json(self) -> dict[str, Any]:
        """Return what JSON takes."""
        return {"tokens": self.tokens, "symbols": list(self.symbols)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Vocabulary":
        """Read what `to_json` returned.

        Raises:
            LookupError, TypeError, ValueError: it is something else.
        """
        tokens, symbols = values["tokens"], tuple(values["symbols"])
        if tokens not in (*KINDS, TOKEN) or not all(isinstance(symbol, str) for symbol in symbols):
            raise ValueError("vocabulary is not one of texts")
        if list(symbols) != sorted(set(symbols)):
            raise ValueError("vocabulary is not one of different symbols in order")
        return cls(tokens, symbols)


def cut(content: str | list[str], tokens: str) -> Iterable[str]:
    """Return the characters of a text, or its words in lower case and signs; tokens are cut already.

    A letter and its accent are one character, however they are written (Unicode's form NFC).
    """
    if isinstance(content, list):
        return [normalize("NFC", token) for token in content]
    if tokens == CHAR:
        return normalize("NFC", content)
    text = normalize("NFC", content.lower())
    return compiled("WORD|SIGN", marks_in(text)).findall(text)
