"""What ends a command from outside: SIGINT, SIGTERM, or a reader of its output that has left."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

ENDINGS = {signal.SIGINT: ("interrupted", 130), signal.SIGTERM: ("terminated", 143)}


class Exit(BaseException):
    """The command is to end; `message` says why, if there is something to say."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


_pending: list[Exit] = []


def raise_pending() -> None:
    """Raise what a signal has raised already, in case it was lost.

    Python drops an exception that comes up in a finaliser or a callback, so a long loop asks again.
    """
    if _pending:
        raise _pending[0]


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into `Exit`, so that files are closed and the exit code is right."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        _pending.append(Exit(*ENDINGS[signal.Signals(number)]))
        raise _pending[-1]

    _pending.clear()
    try:
        before = {number: signal.signal(number, end) for number in ENDINGS}
    except ValueError:  # not the main thread, which alone gets signals
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
