"""A file as bytes: any file, for nothing is decoded."""

import codecs
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from rnnkit_tasks.text.mapped import map_parts
from rnnkit_tasks.text.symbols import default_text, is_large
from rnnkit_tasks.text.text_file import TextFile
from rnnkit_tasks.text.tokens import PARAGRAPH, Tokens

ANY = "a file"
PIECE = 2**20  # symbols at once


class Octets(Tokens):
    """Bytes, 256 of them; as text they are UTF-8, and what is none is shown as a replacement character.

    Args:
        line_ends: whether the file that was learnt from has line feeds.
    """

    name = "byte"
    unit = "byte"
    size = 256

    def __init__(self, line_ends: bool) -> None:
        self.line_ends = line_ends

    @classmethod
    def read(cls, path: Path | None, vocabulary: int) -> tuple[Self, Tensor]:
        """Read a file, each byte its own symbol."""
        symbols = _read(path)
        pieces = (symbols[at : at + PIECE] for at in range(0, len(symbols), PIECE))
        return cls(any(bool((piece == ord("\n")).any()) for piece in pieces)), symbols

    def read_again(self, path: Path | None) -> Tensor:
        """Read a file, each byte its own symbol."""
        return _read(path)

    def state(self) -> dict[str, Any]:
        """Return whether there are line ends."""
        return {"tokens": self.name, "line_ends": self.line_ends}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Build it."""
        if type(state["line_ends"]) is not bool:
            raise ValueError("line_ends is not true or false")
        return cls(state["line_ends"])

    def symbols_of(self, text: str, source: str) -> Tensor:
        """Return the bytes of a text in UTF-8, or those that a command line was given."""
        return torch.tensor(list(text.encode("utf-8", "surrogateescape")), dtype=torch.int64)

    def paragraph(self) -> Tensor | None:
        """Return two line feeds, if the file has some."""
        return self.symbols_of(PARAGRAPH, "") if self.line_ends else None

    def text_of(self, symbols: Tensor) -> str:
        """Return the bytes as UTF-8."""
        return bytes(symbols.tolist()).decode("utf-8", "replace")

    def stream(self, symbols: Iterable[Tensor]) -> Iterator[str]:
        """Return the text of bytes as they come: a character once all of its bytes are there."""
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        for symbol in symbols:
            yield utf8.decode(bytes([int(symbol)]))
        yield utf8.decode(b"", final=True)

    def digested(self) -> bytes:
        """Return nothing more than what it is."""
        return self.name.encode()


def _read(path: Path | None) -> Tensor:
    file = None if path is None else TextFile(path, ANY)
    if file is not None and is_large(file):
        parts = (np.frombuffer(piece, np.uint8) for piece in file.raw())
        return map_parts(file, parts, np.dtype(np.uint8), f"{file.size:,} bytes")
    data = default_text().encode() if file is None else b"".join(file.raw())
    return torch.from_numpy(np.frombuffer(data, np.uint8).astype(np.int64))
