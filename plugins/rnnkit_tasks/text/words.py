"""A text as words: the most frequent ones of the part that trains, and one symbol for all others."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnkit_tasks.text.cutting import LINE_END, words_of
from rnnkit_tasks.text.mapped import map_parts
from rnnkit_tasks.text.parts import parts_of
from rnnkit_tasks.text.symbols import default_text, is_large
from rnnkit_tasks.text.text_file import TextFile
from rnnkit_tasks.text.tokens import PARAGRAPH, Tokens, counted, with_line_feeds

UNKNOWN, SHOWN = "<unk>", " <unk>"
"""The first symbol, and how it stands in a text."""

log = logging.getLogger("rnnkit.tasks")

PIECE = 2**20  # symbols at once

Numbers = NDArray[np.integer[Any]]


class Words(Tokens):
    """Words, punctuation marks, line ends and further blanks; a word has the blank before it, so that all joined are
    the text.

    Args:
        vocabulary: texts of the symbols; the first is `<unk>`, for every word that is not among them.
        different: how many different ones the text has that trains.
        replaced: which share of it is unknown.
    """

    name = "word"
    unit = "word"
    orders = (1, 2)

    def __init__(self, vocabulary: list[str], different: int, replaced: float) -> None:
        self.vocabulary, self.different, self.replaced = vocabulary, different, replaced
        self.size = len(vocabulary)
        self._places = {word: place for place, word in enumerate(vocabulary)}
        self._places.pop(UNKNOWN)

    @classmethod
    def read(cls, path: Path | None, vocabulary: int) -> tuple[Self, Tensor]:
        """Read a UTF-8 text, and choose its vocabulary. Every different word is held in memory while it is read."""
        places: dict[str, int] = {}
        symbols = _read(path, places, fixed=False)
        every = list(places)
        train = symbols[: parts_of(len(symbols))[0]]
        counts = np.zeros(len(every), dtype=np.int64)
        for piece in _pieces(train.numpy()):
            counts += np.bincount(piece, minlength=len(every))
        seen = np.flatnonzero(counts).tolist()
        seen.sort(key=lambda place: (every[place] != LINE_END, -counts[place], every[place]))
        lines = int(bool(seen) and every[seen[0]] == LINE_END)
        chosen = seen[: vocabulary + lines]  # line ends are no word
        known = counts[chosen].sum()
        numbers = np.zeros(max(1, len(every)), dtype=np.int64)
        numbers[chosen] = np.arange(1, len(chosen) + 1)
        for piece in _pieces(symbols.numpy()):
            piece[:] = numbers[piece]
        replaced = 1 - float(known) / max(1, len(train))
        return cls([UNKNOWN, *(every[place] for place in chosen)], len(seen) - lines, replaced), symbols

    def read_again(self, path: Path | None) -> Tensor:
        """Read a UTF-8 text in this vocabulary."""
        return _read(path, self._places, fixed=True)

    def state(self) -> dict[str, Any]:
        """Return the vocabulary, and what it leaves out."""
        return {
            "tokens": self.name,
            "vocabulary": self.vocabulary,
            "different": self.different,
            "replaced": self.replaced,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Build it, if the vocabulary is one."""
        words, different, replaced = state["vocabulary"], state["different"], state["replaced"]
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError("vocabulary is not a list of words")
        if words[:1] != [UNKNOWN] or len(set(words)) != len(words):
            raise ValueError(f"vocabulary is not one of different words after {UNKNOWN}")
        if type(different) is not int or type(replaced) is not float or not 0 <= replaced <= 1:
            raise ValueError("different and replaced are not a whole number and a share")
        return cls(words, different, replaced)

    def symbols_of(self, text: str, source: str) -> Tensor:
        """Return the places of words, 0 of those that are unknown, of which a line tells.

        The first one may be known by the blank before it alone; a blank at the end is that of the word to come.
        """
        (*words,) = (word for part in words_of([with_line_feeds(text).removesuffix(" ")]) for word in part)
        if words and words[0] not in self._places and f" {words[0]}" in self._places:
            words[0] = f" {words[0]}"
        strange = [word.strip(" ") or word for word in words if word not in self._places]
        if strange:
            log.warning(
                "%d of %s of the prompt %s none of the %s that the run knows of %s, such as %r; read as %s",
                *(len(strange), counted(len(words), self.unit), "is" if len(strange) == 1 else "are"),
                *(f"{self.size - 1:,}", source, strange[0][:40], UNKNOWN),
            )
        return torch.tensor([self._places.get(word, 0) for word in words], dtype=torch.int64)

    def paragraph(self) -> Tensor | None:
        """Return two line ends, if the text has some."""
        return self.symbols_of(PARAGRAPH, "") if LINE_END in self._places else None

    def text_of(self, symbols: Tensor) -> str:
        """Return the words, joined."""
        return "".join(self.vocabulary[symbol] if symbol else SHOWN for symbol in symbols.tolist())

    def summary(self) -> str:
        """Return how many words are known, and how much of the text is not."""
        lines = int(LINE_END in self._places)
        known = self.size - 1 - lines
        what = f"all {known:,}" if known == self.different else f"the {known:,} most frequent of {self.different:,}"
        return (
            f"words: {what} of the part that trains, each with the blank before it; all others are one symbol, "
            f"{UNKNOWN}, {self.replaced:.1%} of that part"
        )

    def digested(self) -> bytes:
        """Return the vocabulary."""
        return "\0".join(self.vocabulary).encode()


def _read(path: Path | None, places: dict[str, int], *, fixed: bool) -> Tensor:
    """Return the place of each word; one that has none gets the next, or where they are fixed 0."""
    file = None if path is None else TextFile(path)
    pieces = iter([default_text()]) if file is None else file.pieces()
    parts = (_numbered(words, places, fixed) for words in words_of(pieces, "text" if file is None else str(file.path)))
    if file is not None and is_large(file):
        return map_parts(file, parts, np.dtype(np.int32), f"up to {4 * file.size:,} bytes")
    return torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *parts]))


def _numbered(words: list[str], places: dict[str, int], fixed: bool) -> Numbers:
    found = (places.get(word, 0) if fixed else places.setdefault(word, len(places)) for word in words)
    return np.fromiter(found, np.int64, len(words))


def _pieces(symbols: Numbers) -> Iterator[Numbers]:
    return (symbols[at : at + PIECE] for at in range(0, len(symbols), PIECE))
