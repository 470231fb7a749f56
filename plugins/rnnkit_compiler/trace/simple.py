"""Large containers of numbers and texts: what is in one is looked at once, and then by identity, which is quick."""

from collections.abc import Callable, Iterable
from itertools import chain
from operator import is_
from typing import Any

LARGE = 200
"""Elements from which it pays."""

MOST = 64
"""Containers that are remembered."""

TYPES = frozenset((bool, int, float, str, bytes, type(None)))

CONTENTS: dict[type, Callable[[Any], Iterable[Any]]] = {
    list: iter,
    tuple: iter,
    set: iter,
    frozenset: iter,
    dict: lambda table: chain(table, table.values()),
}
"""How to go through containers."""


class Simple:
    """What a container of numbers and texts held; equal to what held the same in the same order."""

    __slots__ = ("_hash", "_kind", "_values", "words")

    def __init__(self, kind: type, values: list[Any]) -> None:
        self._kind, self._values = kind, values
        self._hash = hash((kind, *values))
        self.words = dict.fromkeys(value for value in values if type(value) is str and value.isidentifier())
        """Texts that may be names."""

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Simple) and (self._hash, self._kind) == (other._hash, other._kind) and self._as(other)

    def __hash__(self) -> int:
        return self._hash

    def is_held_by(self, value: Any) -> bool:
        """Tell whether a container holds these very objects."""
        return type(value) is self._kind and _are(CONTENTS[self._kind](value), self._values)

    def _as(self, other: "Simple") -> bool:
        """Tell whether values are equal, types and signs of zeros too."""
        return _are(map(type, self._values), [*map(type, other._values)]) and repr(self._values) == repr(other._values)


_known: dict[int, Simple] = {}
"""By the id of the container, which another may have taken since: it is right for that, too, if it holds the same."""


def simple_of(value: Any) -> Simple | None:
    """Return what a large container of numbers and texts holds; None: it is none."""
    kind = type(value)
    if kind not in CONTENTS or len(value) < LARGE:
        return None
    known = _known.get(id(value))
    if known is not None and known.is_held_by(value):
        return known
    values = [*CONTENTS[kind](value)]
    if not TYPES.issuperset(map(type, values)):
        return None
    if len(_known) >= MOST:
        _known.clear()
    _known[id(value)] = made = Simple(kind, values)
    return made


def _are(objects: Iterable[Any], known: list[Any]) -> bool:
    """Tell whether objects are those that are known, each of them and no more."""
    found = [*objects]
    return len(found) == len(known) and all(map(is_, found, known))
