"""A limit on the time that code of somebody else's may take."""

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LOOK = 0.1
"""Seconds between two looks at the clocks."""


class TimeIsUpError(BaseException):
    """The time is up; no Exception, so that code which catches those does not go on."""


@contextmanager
def time_limit(processor: float, clock: float) -> Iterator[None]:
    """Raise TimeIsUpError in the block once it has taken that many seconds of a processor, or by the clock.

    It comes between two steps of the interpreter: a call that never returns from C is not ended.
    """
    lock, over = threading.Lock(), threading.Event()
    thread = threading.get_ident()
    used = time.pthread_getcpuclockid(thread)
    ends = time.clock_gettime(used) + processor, time.monotonic() + clock

    def watch() -> None:
        while not over.wait(LOOK):
            with lock:
                if not over.is_set() and (time.clock_gettime(used) > ends[0] or time.monotonic() > ends[1]):
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TimeIsUpError))

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        with lock:
            over.set()
