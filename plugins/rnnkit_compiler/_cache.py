"""A cache: what was made once for a question, kept for the next time; the least recently used goes first."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import ref

from rnnkit_compiler._forks import fork_safe_lock

Made = TypeVar("Made")


class Cache(Generic[Made]):
    """Keeps the last `capacity` answers; several threads may ask."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._kept: OrderedDict[Hashable, Made] = OrderedDict()
        self._owners: dict[Hashable, ref[type]] = {}
        self._gone: list[Hashable] = []
        self._lock = fork_safe_lock()

    def get(self, key: Hashable, make: Callable[[], Made], owner: type | None = None) -> Made:
        """Return the answer to a question, made at the first time; two threads that ask at once may both make it.

        Args:
            key: the question.
            make: finds the answer.
            owner: a class without which nobody will ask again: the answer goes with it.
        """
        known = self.known(key)
        if known is not None:
            return known
        made = make()
        with self._lock:
            self._drop(key)  # of another thread, whose key would be found no more once the owner is gone
            self._kept[key] = made
            if owner is not None:
                self._owners[key] = ref(owner, lambda _: self._forget(key))
            while len(self._kept) > self.capacity:
                self._drop(next(iter(self._kept)))
            self._drop_gone()
        return made

    def known(self, key: Hashable) -> Made | None:
        """Return the answer to a question that was asked before; None: it was not, or has gone."""
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._kept.move_to_end(key)
            return known

    def _forget(self, key: Hashable) -> None:
        """Drop an answer; later if some thread is at it, maybe this one, whose garbage is collected at any moment."""
        self._gone.append(key)
        if self._lock.acquire(blocking=False):
            try:
                self._drop_gone()
            finally:
                self._lock.release()

    def _drop_gone(self) -> None:
        while self._gone:
            self._drop(self._gone.pop())

    def _drop(self, key: Hashable) -> None:
        self._kept.pop(key, None)
        self._owners.pop(key, None)
