"""Classes as they are now: the attributes that a step may read, which are not all that others keep there."""

from collections.abc import Container, Hashable, Iterator
from itertools import chain
from types import FunctionType
from typing import Any

from rnnkit_compiler.trace.by_class import by_class
from rnnkit_compiler.trace.frozen import MUTABLE_CONTAINERS, PLAIN, Seen, frozen
from rnnkit_compiler.trace.identity import Identity, identity
from rnnkit_compiler.trace.named import attributes_in
from rnnkit_compiler.trace.owners import is_library

UNREAD = frozenset(
    (
        *("__module__", "__qualname__", "__doc__", "__annotations__", "__dict__", "__weakref__", "__init__"),
        *("__abstractmethods__", "__parameters__", "_abc_impl"),
    )
)
"""What Python keeps in classes, and no library reads of a module that steps."""


def read_of(kind: type, named: Container[str]) -> tuple[str, ...]:
    """List the attributes of a class that code may read: by name, or as libraries do of what derives from theirs.

    Args:
        kind: of a module.
        named: what the user's code names.
    """
    of_libraries = _named_by_libraries(kind)
    return tuple(name for name in vars(kind) if name in named or name in of_libraries)


def held_of(kind: type, names: tuple[str, ...], seen: Seen) -> tuple[Hashable, ...]:
    """Describe attributes of a class; of containers, what is in them."""
    return tuple((name, _described(vars(kind)[name], f"{kind.__name__}.{name}", seen)) for name in names)


def _described(value: Any, where: str, seen: Seen) -> Hashable:
    if isinstance(value, FunctionType):  # as most are: what it closes over is read elsewhere
        return Identity(value)
    is_stated = isinstance(value, PLAIN) or (isinstance(value, MUTABLE_CONTAINERS) and not where.endswith("__"))
    return frozen(value, where, seen) if is_stated else identity(value)


def containers_of(kind: type) -> Iterator[tuple[str, Any]]:
    """Give the attributes of a class that may be changed in place, and their names."""
    attributes = vars(kind).items()
    yield from ((n, v) for n, v in attributes if isinstance(v, MUTABLE_CONTAINERS) and not n.startswith("__"))


@by_class
def _named_by_libraries(kind: type) -> frozenset[str]:
    """Return the names in what torch or rnnkit have of a class, and in the code there."""
    bases = [base for base in kind.__mro__ if is_library(base.__module__)]
    return frozenset(chain.from_iterable((*map(vars, bases), *map(_names_in, bases)))) - UNREAD


@by_class
def named_by(kind: type) -> frozenset[str]:
    """Return the names in the code of a class."""
    return frozenset(chain.from_iterable(map(_names_in, kind.__mro__)))


@by_class
def _names_in(base: type) -> frozenset[str]:
    """Return the names in the code of one class, which many derive from."""
    given = [value.fget if isinstance(value, property) else value for value in vars(base).values()]
    codes = [value.__code__ for value in given if isinstance(value, FunctionType)]
    return frozenset(chain.from_iterable(map(attributes_in, codes)))
