"""What ends a command from outside: SIGINT, SIGTERM, or a reader of its output that has left."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TypeAlias

from rnnkit.errors import Ending

BROKEN_PIPE = 1
"""What stands for a reader that has left where processes tell each other their exit codes."""

ENDINGS = {signal.SIGINT: ("interrupted", 130), signal.SIGTERM: ("terminated", 143)}


class Exit(Ending):
    """The command is to end; `message` says why, if there is something to say."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def ending_with(code: int, remedy: str) -> Exit:
    """Return the `Exit` of an exit code; a reader that has left, 0 or `BROKEN_PIPE`, needs no words."""
    words = {code: word for word, code in ENDINGS.values()}
    return Exit(f"{words[code]}; {remedy}", code) if code in words else Exit("", 0)


Handler: TypeAlias = Callable[[int, FrameType | None], object]


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into `Exit`, so that files are closed and the exit code is right."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise Exit(*ENDINGS[signal.Signals(number)])

    with _handled(end):
        yield


@contextmanager
def patience() -> Iterator[list[Exit]]:
    """Keep the first SIGINT or SIGTERM in a list, for a loop to end at the next step; the second ends it at once.

    What a handler raises in a finaliser or a callback, Python drops; a list stays.
    """
    kept: list[Exit] = []

    def keep(number: int, frame: FrameType | None) -> None:
        kept.append(Exit(*ENDINGS[signal.Signals(number)]))
        if len(kept) > 1:
            raise kept[-1]

    with _handled(keep):
        yield kept


@contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    try:
        before = {number: signal.signal(number, handler) for number in ENDINGS}
    except ValueError:  # not the main thread, which alone gets signals
        before = {}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
