"""The options that somebody's object was built with, as they were given: for what is said of it later."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

_given: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
"""By object; apart from it, since what an object has is its author's affair."""


def note(built: Any, options: Mapping[str, Any]) -> None:
    """Keep what an object was built with, for as long as it is there."""
    with suppress(TypeError):  # it has no hash, or takes no weak reference
        _given[built] = dict(options)


def options_of(built: Any) -> str:
    """Return the options of an object as text, such as "rate=0.1, bias=True"; "" where none are known."""
    try:
        return listed(_given.get(built, {}))
    except TypeError:
        return ""


def listed(options: Mapping[str, Any]) -> str:
    """Return options as text; long values are shortened."""
    return ", ".join(f"{key}={value!r:.60}" for key, value in options.items())
