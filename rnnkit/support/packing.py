"""Packing by gzip, as far as there is room."""

import gzip
from typing import BinaryIO

PACKED = ".gz"
PIECE = 2**20
LEVEL = 6
"""Of zlib's: a table of numbers takes about a quarter of its room."""


class NoRoomError(Exception):
    """What is packed would be larger than there is room for."""


def pack(plain: BinaryIO, packed: BinaryIO, room: int) -> int:
    """Write a packed copy of a file into another one, which is empty; return how many bytes it has.

    Raises:
        NoRoomError: it would have more than `room`.
        OSError: one cannot be read, or written.
    """
    with gzip.GzipFile("", "wb", LEVEL, packed, mtime=0) as stream:  # the same bytes whenever it is made
        while data := plain.read(PIECE):
            stream.write(data)
            if packed.tell() > room:
                raise NoRoomError
    if packed.tell() > room:
        raise NoRoomError
    return packed.tell()
