"""Where the integers of the state stay, if they begin there."""

import math
from typing import NamedTuple

from rnnkit_compiler.ir.intervals import ANY, Interval, Intervals, is_real
from rnnkit_compiler.trace.recording import Recording, Ref

NOWHERE = Interval(math.inf, -math.inf)
"""Of no number: joined with another, it leaves that as it is."""


class Kept(NamedTuple):
    """Where the integers of the state stay, if they begin there."""

    states: dict[int, Interval]
    """By the number of the state."""

    intervals: Intervals
    """Of all integers, then."""


def kept(recording: Recording, pairs: list[tuple[int, int]]) -> Kept:
    """Find where a step keeps the integers of its state.

    Args:
        recording: of the step.
        pairs: a state before the step, and after it.
    """
    whole = [(before, after) for before, after in pairs if not is_real(recording.dtypes[before])]
    found = Intervals(recording, {})
    without = Intervals(recording, dict.fromkeys((before for before, _ in whole), NOWHERE))
    taken = {before: _candidate(found.of(Ref(after)), without.of(Ref(after))) for before, after in whole}
    taken = {before: interval for before, interval in taken.items() if interval.is_bounded}
    while True:
        found = Intervals(recording, taken)
        stays = {before for before, after in whole if found.of(Ref(after)).is_within(taken.get(before, ANY))}
        if stays >= taken.keys():
            return Kept(taken, found)
        taken = {before: interval for before, interval in taken.items() if before in stays}


def _candidate(after: Interval, otherwise: Interval) -> Interval:
    """Return where a state may stay: where a step leaves it, or where it does when it does not leave it as it was."""
    begun = _beginning(after)
    return begun if begun.is_bounded or not otherwise.is_bounded else otherwise


def _beginning(after: Interval) -> Interval:
    """Return where a state is taken to lie that a step leaves in an interval: what only grows begins at 0."""
    return after._replace(least=0) if after.least == -math.inf and after.most >= 0 else after
