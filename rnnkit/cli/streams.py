"""The streams of the command line: any encoding, and whatever they are, closed, full or without a reader."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from rnnkit.errors import ResourceError


def prepare() -> None:
    """Make the streams take whatever is written: what an encoding lacks is replaced, what is closed takes no notice.

    A closed one is opened as the null device, lest the next file that is opened gets its number, and what torch says
    in C++ lands in a checkpoint. stderr replaces by itself.
    """
    for number, name, mode in ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_WRONLY), (2, "stderr", os.O_WRONLY)):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            _open_null(number, mode)
            stream = open(os.devnull, "r" if mode == os.O_RDONLY else "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
        elif name == "stdout" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _open_null(number: int, mode: int) -> None:
    """Put the null device where a file descriptor is closed."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, mode)  # the lowest number that is free
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


def settle() -> None:
    """Write out what the streams still hold; what cannot be written is dropped, so that Python's end is in order."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _drop(stream)


def _drop(stream: TextIO) -> None:
    """Let a stream that takes no more write into the null device."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # it is closed, or no file
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)


def echo(text: str = "", *, end: str = "\n") -> None:
    """Write text to stdout, at once.

    Raises:
        ResourceError: stdout takes no more.
        BrokenPipeError: its reader has left.
    """
    with writing():
        # Not by click's own choice of a stream, which writes UTF-8 where the stream's encoding is ASCII.
        click.echo(text + end, nl=False, file=sys.stdout)


def tell(text: str) -> None:
    """Write a line to stderr, at once; where stderr takes no more, nobody can be told of it.

    Raises:
        BrokenPipeError: its reader has left.
    """
    try:
        click.echo(text, file=sys.stderr)
    except BrokenPipeError:
        raise
    except (OSError, ValueError):
        _drop(sys.stderr)


@contextmanager
def writing() -> Iterator[None]:
    """Answer for stdout: raise ResourceError where it takes no more; BrokenPipeError is left as it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop(sys.stdout)
        raise ResourceError(f"stdout: {error.strerror or error}") from None


def encodable(text: str) -> bool:
    """Tell whether stdout's encoding has all characters of a text."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
