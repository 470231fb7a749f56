"""Truncated BPTT: how a sequence is cut into windows, one for each update."""

from typing import NamedTuple

from rnnkit.errors import UsageError, check_whole


class Window(NamedTuple):
    """A stretch of a sequence for one update: back from `stop` to `start`, losses from `loss_from` on."""

    start: int
    loss_from: int
    stop: int


def windows(steps: int, truncate: tuple[int, int] | None = None, every_step: bool = True) -> list[Window]:
    """Cut a sequence of `steps` for truncated BPTT (k1, k2): every k1 steps, back over k2.

    Every loss is counted once, and reaches back over at least k2 - k1 steps. With one target a sequence there is
    one window, the last k2 steps.

    Source: Williams & Peng, "An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent Network
    Trajectories", Neural Computation 2(4), 1990.
    """
    k1, k2 = truncate or (steps, steps)
    if not every_step:
        return [Window(max(0, steps - k2), steps - 1, steps)]
    cuts = [(before, min(before + k1, steps)) for before in range(0, steps, k1)]
    return [Window(max(0, stop - k2), loss_from, stop) for loss_from, stop in cuts]


def check_truncation(truncate: tuple[int, int] | None) -> None:
    """Raise UsageError unless (k1, k2) has 1 <= k1 <= k2."""
    if truncate is None:
        return
    if not isinstance(truncate, tuple | list) or len(truncate) != 2:
        raise UsageError(f"truncate is {truncate!r}; it must be None or (k1, k2)")
    k1, k2 = truncate
    check_whole("truncate: k1", k1)
    check_whole("truncate: k2", k2)
    if k2 < k1:
        raise UsageError(
            f"truncate is (k1, k2) = ({k1}, {k2}); k2 < k1 would leave out losses, so k2 must be at least {k1}"
        )
