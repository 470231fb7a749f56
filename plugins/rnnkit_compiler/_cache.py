"""A cache: what was made once for a question, kept for the next time; the least recently used goes first."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from rnnkit_compiler._forks import fork_safe_lock

Made = TypeVar("Made")


class Cache(Generic[Made]):
    """Keeps the last `capacity` answers; several threads may ask."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._kept: OrderedDict[Hashable, Made] = OrderedDict()
        self._lock = fork_safe_lock()

    def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return the answer to a question, made at the first time; two threads that ask at once may both make it."""
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._kept.move_to_end(key)
                return known
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self.capacity:
                self._kept.popitem(last=False)
        return made
