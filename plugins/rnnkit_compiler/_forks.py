"""Forks: what a child process must not take over from its parent.

Only the thread that forks lives on in the child. A lock that another thread held at that moment is never released
there.
"""

import os
from functools import cached_property
from threading import Lock, RLock
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from _thread import LockType

Kind = TypeVar("Kind", bound=type)

_locks: "WeakSet[LockType]" = WeakSet()
_properties: "list[cached_property[object]]" = []


def fork_safe_lock() -> "LockType":
    """Return a lock that is free in the child of a fork, whoever held it in the parent."""
    lock = Lock()
    _locks.add(lock)
    return lock


def fork_safe_properties(kind: Kind) -> Kind:
    """Have the cached properties of a class free in the child: before Python 3.12 each has a lock for all instances."""
    _properties.extend(
        value for value in vars(kind).values() if isinstance(value, cached_property) and hasattr(value, "lock")
    )
    return kind


def _free_locks() -> None:
    for lock in _locks:
        lock._at_fork_reinit()  # type: ignore[attr-defined]  # as Python's own library does with its locks
    for each in _properties:
        each.lock = RLock()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_locks)
