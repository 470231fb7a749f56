"""A text too large to hold: its characters as numbers in a temporary file, mapped into memory."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnkit.errors import DataError, ResourceError
from rnnkit_tasks.text.text_file import TextFile

CODE_POINTS = 0x110000
WIDTHS = (np.uint8, np.int16, np.int32)  # whatever torch can index by rows and turn into int64
LARGE_FILES = "/var/tmp"  # kept on a disk, where /tmp is memory on many machines


def map_text(file: TextFile, known: str | None = None) -> tuple[str, Tensor]:
    """Return the sorted alphabet of a text, or one that is known, and the symbols (N,), each character's place there.

    The text is read twice: for its alphabet, then to write the symbols down, in 1 byte each up to 256 symbols, 2 up
    to 32,768, else 4. The temporary file has no name; it is gone with the tensor, or however the process ends.

    Raises:
        DataError: the text is unfit, changed in between, or has a character that the known alphabet lacks.
        ResourceError: there is no room for the symbols.
    """
    alphabet, length = _survey(file)
    if known is not None:
        alphabet = _within(file, alphabet, _points(known).astype(np.int64))
    width = np.dtype(next(width for width in WIDTHS if len(alphabet) <= np.iinfo(width).max + 1))
    symbols = map_parts(file, _encoded(file, alphabet), width, f"{length * width.itemsize:,} bytes")
    if len(symbols) != length:
        raise _changed(file)
    return alphabet.astype("<u4").tobytes().decode("utf-32-le"), symbols


def map_parts(file: TextFile, parts: Iterable[NDArray[np.integer[Any]]], width: "np.dtype[Any]", needed: str) -> Tensor:
    """Write symbols down part by part, and return them (N,): in a temporary file without a name, mapped.

    Args:
        file: what they are of.
        parts: (n,) each.
        width: the dtype in which they are written.
        needed: how much room they take, in words.

    Raises:
        ResourceError: there is no room for them.
    """
    folder = _folder()
    try:
        with tempfile.TemporaryFile(dir=folder) as store:
            written = 0
            for symbols in parts:
                store.write(symbols.astype(width).data)
                written += len(symbols)
            store.flush()
            if not written:
                return torch.from_numpy(np.zeros(0, width))
            # Shared with the file, so that the system may drop a page at any time.
            return torch.from_numpy(np.memmap(store, width, mode="r+", shape=(written,)))
    except OSError as error:
        raise ResourceError(
            f"{file.path} takes {needed} in {folder}, which cannot be had: {error.strerror}; set TMPDIR to a folder "
            "with more room"
        ) from None


def lacking(source: str, character: str) -> DataError:
    """Return the error of a text with a character that the alphabet of its run lacks."""
    return DataError(f"{source} has {character!r}, which the text that the run learnt from lacks; give back that text")


def _survey(file: TextFile) -> tuple[NDArray[np.int64], int]:
    """Return the code points that occur, sorted, and the number of characters."""
    seen, length = np.zeros(CODE_POINTS, dtype=bool), 0
    for piece in file.pieces():
        seen[_points(piece)] = True
        length += len(piece)
    return np.flatnonzero(seen), length


def _within(file: TextFile, occurring: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the known alphabet, if it has all that was found."""
    strange = np.setdiff1d(occurring, known)
    if len(strange):
        raise lacking(str(file.path), chr(strange[0]))
    return known


def _encoded(file: TextFile, alphabet: NDArray[np.int64]) -> Iterator[NDArray[np.int32]]:
    """Yield the symbols, piece by piece."""
    places = np.full(CODE_POINTS, -1, dtype=np.int32)
    places[alphabet] = np.arange(len(alphabet))
    for piece in file.pieces():
        symbols = places[_points(piece)]
        if symbols.min(initial=0) < 0:
            raise _changed(file)
        yield symbols


def _points(piece: str) -> NDArray[np.uint32]:
    return np.frombuffer(piece.encode("utf-32-le"), "<u4")


def _changed(file: TextFile) -> DataError:
    return DataError(f"{file.path} changed while it was read; try again")


def _folder() -> str:
    """Choose where the temporary file goes: TMPDIR, or else where large files may."""
    chosen = os.environ.get("TMPDIR") or not os.access(LARGE_FILES, os.W_OK | os.X_OK)
    return tempfile.gettempdir() if chosen else LARGE_FILES
