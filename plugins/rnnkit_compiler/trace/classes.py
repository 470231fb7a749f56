"""Classes as they are now: equal versions, equal attributes."""

from collections.abc import Hashable, Iterator
from itertools import count
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

from rnnkit_compiler.trace.frozen import CONTAINERS, frozen

_versions = count()
_classes: "WeakKeyDictionary[type, _Known]" = WeakKeyDictionary()


class _Known:
    """The attributes of a class as they were last seen, with a number of their own."""

    def __init__(self, kind: type) -> None:
        self.values, self.version = tuple(vars(kind).values()), next(_versions)
        self.containers = dict(containers_of(kind))


def version_of(kind: type) -> tuple[Hashable, ...]:
    """Number the attributes of a class, anew when one is exchanged; of containers, what is in them."""
    known, values = _classes.get(kind), vars(kind).values()
    if known is None or len(known.values) != len(values) or not all(map(is_, known.values, values)):
        known = _classes[kind] = _Known(kind)
    return (known.version, *(frozen(value, f"{kind.__name__}.{name}") for name, value in known.containers.items()))


def containers_of(kind: type) -> Iterator[tuple[str, Any]]:
    """Give the attributes of a class that may be changed in place, and their names."""
    attributes = vars(kind).items()
    yield from ((n, v) for n, v in attributes if isinstance(v, CONTAINERS) and not n.startswith("__"))
