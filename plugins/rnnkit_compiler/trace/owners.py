"""Whose code it is: the user's, which may change while it runs, or a library's, which is as it is."""

import sys
from functools import lru_cache
from pathlib import Path

LIBRARIES = ("torch", "rnnkit")


@lru_cache(maxsize=512)
def own_bases(kind: type) -> tuple[type, ...]:
    """List a class and those that it is derived from, but for torch's and rnnkit's own."""
    return tuple(base for base in kind.__mro__ if base is not object and not is_library(base.__module__))


@lru_cache(maxsize=512)
def is_library(module: str | None) -> bool:
    """Tell whether a module is torch's or rnnkit's."""
    return package(module) in LIBRARIES


@lru_cache(maxsize=512)
def is_own(module: str | None, users: frozenset[str]) -> bool:
    """Tell whether a module is a user's: of the packages that its cells are from, or not installed."""
    return not is_library(module) and (package(module) in users or not _is_installed(package(module)))


def package(module: str | None) -> str:
    """Return the package that a module is in."""
    return (module or "").partition(".")[0]


def _is_installed(name: str) -> bool:
    if name in sys.stdlib_module_names:
        return True
    place = Path(getattr(sys.modules.get(name), "__file__", None) or "")
    return not {"site-packages", "dist-packages"}.isdisjoint(place.parts)
