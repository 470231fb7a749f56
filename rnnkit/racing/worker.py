"""A process that trains for a race: takes one trial after the other from a connection, and tells how far it is.

What goes over the connection is JSON. A process ends when the one that started it is gone, within a step.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from rnnkit.core.task import Task
from rnnkit.errors import RnnkitError, one_line
from rnnkit.racing.trial import Result, Trial, trained
from rnnkit.runs.settings import Settings

EVERY = 0.2
"""Seconds between two messages of how far a training is."""


def packed(trial: Trial) -> bytes:
    """Return a trial as it goes over a connection."""
    return json.dumps(asdict(trial)).encode()


def unpacked(data: bytes) -> Trial:
    """Return what was `packed`."""
    values = json.loads(data)
    return Trial(**{**values, "settings": Settings(**values["settings"])})


class Tasks:
    """Builds the task of a trial; the one before is kept, since trials of a race have the same."""

    def __init__(self) -> None:
        self._known: tuple[object, Task] | None = None

    def of(self, trial: Trial) -> Task:
        """Return the task of a trial."""
        key = (trial.settings.task, trial.settings.task_options)
        if self._known is None or self._known[0] != key:
            self._known = (key, trial.settings.make_task())
        return self._known[1]


def messages(trial: Trial, tasks: Tasks) -> Iterator[dict[str, Any]]:
    """Train, and yield `{"step": n}` now and then, and `{"result": ...}` or `{"error": ...}` at the end."""
    told = time.monotonic()
    try:
        for news in trained(trial, tasks.of(trial)):
            if isinstance(news, Result):
                yield {"result": asdict(news)}
            elif time.monotonic() - told > EVERY:
                told = time.monotonic()
                yield {"step": news.step}
            else:
                yield {}
    except RnnkitError as error:
        yield {"error": {"kind": type(error).__name__, "message": str(error)}}
    except OSError as error:
        yield {"error": {"kind": "ResourceError", "message": one_line(error)}}


def main(descriptor: int) -> None:
    """Serve the connection of that number until it is closed."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the one that started this, which ends it
    parent = os.getppid()
    torch.set_num_threads(1)
    connection, tasks = Connection(descriptor), Tasks()
    try:
        while True:
            serve(unpacked(connection.recv_bytes()), tasks, connection.send_bytes, lambda: os.getppid() == parent)
    except (EOFError, ConnectionError):
        return


def serve(trial: Trial, tasks: Tasks, send: Callable[[bytes], object], wanted: Callable[[], bool]) -> None:
    """Train, and send messages, for as long as someone wants it.

    Raises:
        EOFError: nobody does any more.
    """
    for message in messages(trial, tasks):
        if not wanted():
            raise EOFError
        if message:
            send(json.dumps(message).encode())
