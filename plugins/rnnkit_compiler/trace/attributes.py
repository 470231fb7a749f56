"""The attributes of an object by name, in its dictionary or in slots; no code of its class is run."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from rnnkit_compiler.trace.by_class import by_class


class Attributes(Mapping[str, Any]):
    """Looks up what an object holds."""

    def __init__(self, held: object) -> None:
        self._held = held
        kind: type = type(held)
        self._slots = slots_of(kind)
        self._own: Mapping[str, Any] = dictionary_of(held) or {}

    def __getitem__(self, name: str) -> Any:
        if name in self._slots:
            return slot(self._held, name)
        return self._own[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._slots, *self._own))

    def __len__(self) -> int:
        return len(self._slots) + len(self._own)


def dictionary_of(held: object) -> dict[str, Any] | None:
    """Return the dictionary of an object; None: it has none."""
    if isinstance(held, threading.local):
        return vars(held)  # this thread's
    try:
        found: dict[str, Any] = object.__getattribute__(held, "__dict__")
    except AttributeError:
        return None
    return found


def slot(held: object, name: str) -> Any:
    """Return what is in a slot; None where nothing is."""
    try:
        return object.__getattribute__(held, name)
    except AttributeError:
        return None


@by_class
def slots_of(kind: type) -> tuple[str, ...]:
    """List the slots of a class and those that it is derived from; private names as Python stores them."""
    names = []
    for base in kind.__mro__:
        listed = vars(base).get("__slots__", ())
        for name in (listed,) if isinstance(listed, str) else listed:
            private = name.startswith("__") and not name.endswith("__")
            names.append(f"_{base.__name__.lstrip('_')}{name}" if private else name)
    return tuple(name for name in names if name not in ("__weakref__", "__dict__"))
