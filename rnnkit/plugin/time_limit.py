"""A limit on the time that code of somebody else's may take."""

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LOOK, AGAIN = 0.1, 1.0
"""Seconds between two looks at the clocks, and between two times that the error is raised, where it was caught."""

BRIEFLY = 1e-5
"""Seconds between two looks at what another thread does at once."""

STEPS = 3
"""Of the interpreter, more than enough for an error that is due to come."""


class TimeIsUpError(BaseException):
    """The time is up; no Exception, so that code which catches those does not go on."""


@contextmanager
def time_limit(processor: float, clock: float) -> Iterator[None]:
    """Raise TimeIsUpError in the block once it has taken that many seconds of a processor, or by the clock.

    It comes between two steps of the interpreter: a call that never returns from C is not ended.
    """
    thread = threading.get_ident()
    used = time.pthread_getcpuclockid(thread)
    ends = time.clock_gettime(used) + processor, time.monotonic() + clock
    # The error may come in the middle of Python's own locks; this one is released in a single step of the interpreter.
    running, gone = threading.Lock(), list[bool]()
    running.acquire()

    def watch() -> None:
        wait = LOOK
        while not running.acquire(timeout=wait):
            if time.clock_gettime(used) > ends[0] or time.monotonic() > ends[1]:
                _raise_in(thread)
                wait = AGAIN
        gone.append(True)

    def stop() -> None:
        with suppress(RuntimeError):  # it is released already
            running.release()
        while not gone:
            time.sleep(BRIEFLY)
        # An error that was raised just before comes here. It must: were it dropped, CPython 3.11 would look for it at
        # every step from then on, and under a profiler for ever.
        for _ in range(STEPS):
            time.sleep(0)

    try:
        _start(threading.Thread(target=watch, daemon=True), gone)
        yield
    finally:
        try:
            stop()
        finally:
            stop()  # the error may have come in the first one


def _start(watcher: threading.Thread, gone: list[bool]) -> None:
    try:
        watcher.start()
    except RuntimeError:  # no more threads
        gone.append(True)
        raise


def _raise_in(thread: int) -> None:
    """Have the error raised in a thread at its next step."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TimeIsUpError))
