"""The layout of a call: where each buffer lies in one piece of memory."""

from collections.abc import Iterable
from typing import NamedTuple

LINE = 64
"""Bytes that every buffer's place is a multiple of."""


class Layout(NamedTuple):
    """Buffers in one piece of memory."""

    size: int
    """In bytes."""

    offsets: dict[str, int]
    """Where each buffer begins, in bytes."""


def lay_out(buffers: Iterable[tuple[str, int]]) -> Layout:
    """Put buffers of so many bytes one behind the other."""
    offsets, end = {}, 0
    for name, size in buffers:
        offsets[name] = end
        # one line more than is filled, so that buffers of a power of two do not fall on each other's places in a cache
        end += (size + 2 * LINE - 1) // LINE * LINE
    return Layout(end, offsets)
