"""UTF-8 text files, read piece by piece, so that none need be held as a whole."""

import codecs
import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnkit.errors import DataError

PIECE = 2**20  # bytes
LONGEST_LINE = 2**24  # characters
MARK = "\ufeff"
PACKED = ".gz"


class TextFile:
    """A UTF-8 text file, without a byte-order mark and with line ends made one character.

    Args:
        path: of the file; one whose name ends in .gz is unpacked as it is read.
        wanted: what is to be given in its place, in an error.

    Raises:
        DataError: the file is missing, not a file or unreadable.
    """

    size: int
    """In bytes; of a packed file about as many as it holds."""

    def __init__(self, path: Path, wanted: str = "a UTF-8 text file") -> None:
        self.path, self.wanted = path, wanted
        with self._reading():
            status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its writer
            raise DataError(f"{path} is not a regular file; give {wanted}")
        self.packed = path.name.lower().endswith(PACKED)
        self.size = self._unpacked(status.st_size) if self.packed else status.st_size

    def pieces(self) -> Iterator[str]:
        """Read the text from its beginning, in pieces of about a mebibyte.

        Raises:
            DataError: the file is empty, not UTF-8, binary, unreadable, or is cut off while it is read.
        """
        utf8 = codecs.getincrementaldecoder("utf-8")()
        newlines = io.IncrementalNewlineDecoder(None, translate=True)
        read = characters = 0
        begun = False
        for data in self._bytes():
            read += len(data)
            try:
                piece = utf8.decode(data, final=not data)
            except UnicodeDecodeError as error:
                at = read - len(error.object) + error.start
                raise DataError(
                    f"{self.path} is not UTF-8 text (byte {at}); convert it, or give another file"
                ) from None
            if piece and not begun:
                begun, piece = True, piece.removeprefix(MARK)
            if "\0" in piece:
                at = characters + piece.index("\0")
                raise DataError(f"{self.path} is a binary file (a NUL at character {at}); give a UTF-8 text file")
            characters += len(piece)
            yield newlines.decode(piece, final=not data)
        self._check_whole(read)

    def raw(self) -> Iterator[bytes]:
        """Read the file's bytes as they are, whatever they stand for, in pieces of about a mebibyte.

        Raises:
            DataError: the file is empty, unreadable, or is cut off while it is read.
        """
        read = 0
        for data in self._bytes():
            read += len(data)
            yield data
        self._check_whole(read)

    def _check_whole(self, read: int) -> None:
        if not read:
            raise DataError(f"{self.path} is empty; give {self.wanted}")
        if read < self.size and not self.packed:  # of which gzip itself says so
            raise DataError(f"{self.path} was cut off while it was read; try again")

    def blocks(self) -> Iterator[list[str]]:
        """Read the text in lists of lines, each with its end; the last line may have none.

        Raises:
            DataError: as `pieces`; or a line goes on for ever.
        """
        rest = ""
        for piece in self.pieces():
            lines = _lines(rest + piece)
            rest = "" if not lines or lines[-1].endswith("\n") else lines.pop()
            if lines:
                yield lines
            if len(rest) > LONGEST_LINE:
                raise DataError(f"{self.path} has a line of more than {LONGEST_LINE:,} characters; give a table")
        if rest:
            yield [rest]

    def _unpacked(self, size: int) -> int:
        """Return about how many bytes a packed file of this size holds, by its last four bytes."""
        with self._reading(), self.path.open("rb") as file:
            file.seek(max(0, size - 4))
            return max(size, int.from_bytes(file.read(4), "little"))

    def _bytes(self) -> Iterator[bytes]:
        """Yield the file's bytes, and none at the end."""
        with self._reading():
            file = self.path.open("rb")
        with file:
            data, stream = b"begin", gzip.GzipFile(fileobj=file) if self.packed else file
            while data:
                with self._reading():
                    data = stream.read(PIECE)
                yield data

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Say in a sentence what the system refuses."""
        try:
            yield
        except FileNotFoundError:
            raise DataError(f"{self.path} does not exist; give {self.wanted}") from None
        except (OSError, ValueError, EOFError, zlib.error) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{self.path} cannot be read: {reason}") from None


def _lines(text: str) -> list[str]:
    """Cut after each line feed, and at nothing else that Unicode ends lines with."""
    *whole, rest = text.split("\n")
    return [line + "\n" for line in whole] + ([rest] if rest else [])
