"""What is found once for a class, and kept as long as it is there."""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

Found = TypeVar("Found")
Asked = ParamSpec("Asked")


def by_class(find: Callable[Concatenate[type, Asked], Found]) -> Callable[Concatenate[type, Asked], Found]:
    """Keep what a function finds of a class, which must not hold the class.

    Args:
        find: of a class and hashable arguments by position.
    """
    known: WeakKeyDictionary[type, dict[Hashable, Found]] = WeakKeyDictionary()

    @wraps(find)
    def find_once(kind: type, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Found:
        found = known.setdefault(kind, {})
        if args not in found:
            found[args] = find(kind, *args, **kwargs)
        return found[args]

    return find_once
