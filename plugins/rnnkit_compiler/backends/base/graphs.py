"""CUDA graphs: the launches of a fixed number of steps, recorded once and replayed for calls of any length.

A graph holds the addresses of what it was recorded on. So it has rooms of its own, for a chunk of steps: what a chunk
of a call reads is copied there, the graph is replayed, and what it has written is copied back. What is left of a call
is launched step by step. No length of a sequence is in any key.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch

from rnnkit_compiler._cache import Cache
from rnnkit_compiler._forks import fork_safe_lock

CHUNK = 32
"""Steps of a graph."""

MOST = 8
"""Graphs that a step keeps, the most recently used ones."""

Replay = Callable[[], None]

Made = TypeVar("Made")


def record(body: Callable[[], object]) -> Replay:
    """Record what a function launches on the device; return what launches it all again."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        body()
    replay: Replay = graph.replay
    return replay


def may_be_recorded(steps: int, device: torch.device) -> bool:
    """Tell whether steps are recorded on a device: what others are recording already stays as it is."""
    return steps > 0 and device.type == "cuda" and not torch.cuda.is_current_stream_capturing()


def current_stream() -> int:
    """Return what tells apart the streams of a device on which calls may overlap."""
    return int(torch.cuda.current_stream().cuda_stream) if torch.cuda.is_available() else 0


class Recorded(Generic[Made]):
    """The chunks of a step, by all that is recorded with them.

    Args:
        size: steps of each.
    """

    def __init__(self, size: int = CHUNK) -> None:
        self.size = size
        self.kept: Cache[Made] = Cache(MOST)
        self.lock = fork_safe_lock()
        """Rooms are used by one call at a time."""

    def whole(self, steps: int) -> int:
        """Return how many of the steps of a call are in whole chunks."""
        return steps // self.size * self.size
