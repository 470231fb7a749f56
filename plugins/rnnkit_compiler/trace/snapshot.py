"""Snapshots: what objects hold, all the way down, told again by identity in a fraction of the time of `frozen`."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from operator import attrgetter, is_, methodcaller
from threading import local
from types import CellType, FunctionType
from typing import Any

from torch import Tensor

from rnnkit_compiler.trace.attributes import dictionary_of, slots_of
from rnnkit_compiler.trace.frozen import FIXED, PLAIN, PLAIN_TYPES, contents_of, held_by
from rnnkit_compiler.trace.simple import LARGE

_contents, _values = attrgetter("cell_contents"), methodcaller("values")


class Snapshot:
    """What values hold now; called, tells whether they hold it still.

    It may see a change where there is none: a number that is exchanged for its equal.

    Args:
        values: of which `frozen` tells everything.
    """

    def __init__(self, values: Iterable[Any]) -> None:
        self._lists: list[Any] = []
        self._tables: list[dict[Any, Any]] = []
        self._worded: list[tuple[Iterable[str], list[str]]] = []
        self._cells: list[CellType] = []
        self._objects: list[object] = []
        self._others: list[tuple[Any, list[Any]]] = []
        self._walk(values)
        self._sizes = [*map(len, self._lists), *map(len, self._tables)]
        self._known = [*self._identities()]

    def _walk(self, values: Iterable[Any]) -> None:
        left, seen = deque(values), dict[int, Any]()
        while left:
            value = left.popleft()
            if type(value) not in PLAIN_TYPES and id(value) not in seen:
                seen[id(value)] = value
                left += self._open(value)

    def __call__(self) -> bool:
        """Tell whether all is as it was."""
        return (
            [*map(len, self._lists), *map(len, self._tables)] == self._sizes
            and all(map(is_, self._identities(), self._known))
            and all([*words] == known for words, known in self._worded)
            and all(_are(held_by(value, ""), known) for value, known in self._others)
        )

    def _identities(self) -> Iterator[Any]:
        """Give what is the same as long as nothing changes; as many as there were while sizes are the same."""
        return chain(
            chain.from_iterable(self._lists),
            chain.from_iterable(map(_values, self._tables)),
            map(_contents, self._cells),
            map(type, self._objects),
            map(object.__getattribute__, self._objects, repeat("__dict__")),
        )

    def _open(self, value: Any) -> Iterable[Any]:
        """Note how to look at a value again; return what it holds."""
        kind: type = type(value)
        if isinstance(value, Tensor):
            return ()
        if isinstance(value, FunctionType):
            cells = [cell for cell in value.__closure__ or () if cell != CellType()]
            self._cells += cells
            return map(_contents, cells)
        if isinstance(value, FIXED):
            return ()
        if kind in (tuple, frozenset):
            return (*value,)
        if kind in (list, deque, set):
            return self._open_list(value)
        if kind is dict:
            return self._open_table(value)
        return self._open_object(value)

    def _open_list(self, items: Any) -> Iterable[Any]:
        if len(items) >= LARGE and all(type(item) is str for item in items):  # equal ones are the same
            self._worded.append((items, [*items]))
            return ()
        self._lists.append(items)
        return tuple(items)

    def _open_table(self, table: dict[Any, Any]) -> Iterable[Any]:
        self._tables.append(table)
        return (*self._open_list(table), *table.values())

    def _open_object(self, value: Any) -> Iterable[Any]:
        own, slots = dictionary_of(value), slots_of(type(value))
        if slots or contents_of(value, "") is not None or isinstance(value, local) or own is None:
            held = [] if own is None and isinstance(value, PLAIN) else held_by(value, "")
            self._others.append((value, held))
            return held
        self._objects.append(value)
        return self._open_table(own)


def _are(objects: list[Any], known: list[Any]) -> bool:
    """Tell whether objects are those that are known; texts and bytes, which are made anew, equal ones."""
    return len(objects) == len(known) and all(
        one is other or (type(one) is type(other) and type(one) in (str, bytes) and one == other)
        for one, other in zip(objects, known, strict=True)
    )
