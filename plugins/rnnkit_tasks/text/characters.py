"""A text as characters: those that it has are its alphabet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from rnnkit.errors import UsageError
from rnnkit_tasks.text.symbols import encode, read_symbols
from rnnkit_tasks.text.tokens import PARAGRAPH, Tokens, with_line_feeds


class Characters(Tokens):
    """Characters of an alphabet, which is sorted."""

    name = "char"
    unit = "character"

    def __init__(self, alphabet: str) -> None:
        self.alphabet, self.size = alphabet, len(alphabet)

    @classmethod
    def read(cls, path: Path | None, vocabulary: int) -> tuple[Self, Tensor]:
        """Read a UTF-8 text, each character's place in its alphabet."""
        alphabet, symbols = read_symbols(path)
        return cls(alphabet), symbols

    def read_again(self, path: Path | None) -> Tensor:
        """Read a UTF-8 text in this alphabet; DataError for a character that it lacks."""
        return read_symbols(path, self.alphabet)[1]

    def state(self) -> dict[str, Any]:
        """Return the alphabet."""
        return {"alphabet": self.alphabet}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Build it, if the alphabet is one."""
        alphabet = state["alphabet"]
        if not isinstance(alphabet, str) or list(alphabet) != sorted(set(alphabet)):
            raise ValueError("alphabet is not one of different characters in order")
        return cls(alphabet)

    def symbols_of(self, text: str, source: str) -> Tensor:
        """Return the places of characters that the alphabet has."""
        text = with_line_feeds(text)
        unknown = sorted(set(text) - set(self.alphabet))
        if unknown:
            raise UsageError(f"the text has {unknown[0]!r}, which {source} lacks; leave it out")
        return encode(text, self.alphabet)

    def paragraph(self) -> Tensor | None:
        """Return two line ends, if the alphabet has them."""
        return encode(PARAGRAPH, self.alphabet) if set(PARAGRAPH) <= set(self.alphabet) else None

    def text_of(self, symbols: Tensor) -> str:
        """Return the characters, joined."""
        return "".join(self.alphabet[symbol] for symbol in symbols.tolist())

    def digested(self) -> bytes:
        """Return the alphabet."""
        return self.alphabet.encode()
