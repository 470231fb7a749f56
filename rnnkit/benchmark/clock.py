"""The clock of a device: how long a call takes there.

The CPU has done a call when it returns. A GPU has only been told of it: its own time is between two events that it
passes itself, before the call's first kernel and behind the last, and the wall's time ends when the second is passed.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch


class Taken(NamedTuple):
    """Seconds of one call."""

    seconds: float
    """On the device."""

    wall: float
    """Until it was done, for whoever waits."""


Call = Callable[[], object]


class Clock:
    """Times calls that compute on the CPU."""

    has_events = False
    """Whether the device's time is another one than the wall's."""

    def take(self, call: Call) -> Taken:
        """Time one call."""
        began = time.perf_counter()
        call()
        seconds = time.perf_counter() - began
        return Taken(seconds, seconds)

    def wait(self) -> None:
        """Wait until all is done that has been asked for."""


class EventClock(Clock):
    """Times calls that compute on a device which works on while Python runs ahead.

    Args:
        device: the one on which they compute.
    """

    has_events = True

    def __init__(self, device: torch.device) -> None:
        self._device, self._module = device, torch.get_device_module(device)

    def take(self, call: Call) -> Taken:
        """Time one call by events and by the wall, from a device that has nothing left to do."""
        before, behind = (self._event() for _ in range(2))
        self.wait()
        began = time.perf_counter()
        before.record(self._stream())
        call()
        behind.record(self._stream())
        self.wait()
        return Taken(before.elapsed_time(behind) / 1e3, time.perf_counter() - began)

    def wait(self) -> None:
        """Wait until the device has done all that it was told."""
        self._module.synchronize(self._device)

    def _event(self) -> Any:
        return self._module.Event(enable_timing=True)

    def _stream(self) -> Any:
        return self._module.current_stream(self._device)


WALL = Clock()


def clock_of(device: torch.device) -> Clock:
    """Return the clock by which calls on a device are timed."""
    return WALL if device.type == "cpu" else EventClock(device)
