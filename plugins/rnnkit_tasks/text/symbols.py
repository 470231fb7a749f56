"""A text as symbols: each character's place in an alphabet, which is the text's own or given."""

from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from torch import Tensor

from rnnkit_tasks.text.mapped import lacking, map_text
from rnnkit_tasks.text.text_file import TextFile

LARGE = 2**24  # bytes


def is_large(file: TextFile) -> bool:
    """Tell whether the symbols of a file are not held in memory."""
    return file.size > LARGE


def default_text() -> str:
    """Return the documentation of the Python language."""
    return "".join(topics.values())


def read_symbols(path: Path | None, alphabet: str | None = None) -> tuple[str, Tensor]:
    """Return the alphabet of a text and its symbols (N,): int64 in memory, or narrower in a mapped file if it is large.

    Args:
        path: of a UTF-8 text file; None: the documentation of the Python language.
        alphabet: sorted; None: the characters that the text has.

    Raises:
        DataError: the file is unfit, or has a character that the given alphabet lacks.
        ResourceError: a large text has no room for its symbols.
    """
    file = None if path is None else TextFile(path)
    if file is not None and is_large(file):
        return map_text(file, alphabet)
    text = default_text() if file is None else "".join(file.pieces())
    characters = set(text)
    if alphabet is None:
        alphabet = "".join(sorted(characters))
    elif not characters <= set(alphabet):
        raise lacking(str(path or "Python's documentation"), min(characters - set(alphabet)))
    return alphabet, encode(text, alphabet)


def encode(text: str, alphabet: str) -> Tensor:
    """Return the places (N,) in a sorted alphabet of characters that it has."""
    points = np.array(text).reshape(1).view(np.uint32) if text else np.zeros(0, np.uint32)
    known = np.array(alphabet).reshape(1).view(np.uint32) if alphabet else points
    return torch.from_numpy(np.searchsorted(known, points).astype(np.int64))
