"""Whose code it is: the user's, which may change while it runs, or a library's, which is as it is."""

import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import BuiltinFunctionType, ModuleType
from typing import Any

LIBRARIES = ("torch", "rnnkit")


def own_bases(module: object) -> tuple[type, ...]:
    """List the class of a module and those that it is derived from, but for torch's and rnnkit's own."""
    return tuple(base for base in type(module).__mro__ if base is not object and not is_library(base.__module__))


@lru_cache(maxsize=512)
def is_library(module: str | None) -> bool:
    """Tell whether a module is torch's or rnnkit's."""
    return package(module) in LIBRARIES


@lru_cache(maxsize=512)
def is_own(module: str | None, users: frozenset[str]) -> bool:
    """Tell whether a module is a user's: of the packages that its cells are from, or not installed."""
    return not is_library(module) and (package(module) in users or not _is_installed(package(module)))


def users_bases(kind: type, users: frozenset[str]) -> list[type]:
    """List a class and those that it is derived from, of a user's modules."""
    return [base for base in kind.__mro__ if is_own(base.__module__, users)]


def package(module: str | None) -> str:
    """Return the package that a module is in."""
    return (module or "").partition(".")[0]


def _is_installed(name: str) -> bool:
    if name in sys.stdlib_module_names:
        return True
    place = Path(getattr(sys.modules.get(name), "__file__", None) or "")
    return not {"site-packages", "dist-packages"}.isdisjoint(place.parts)


def imported_by(names: Iterable[str], package_name: str) -> Iterator[ModuleType]:
    """Give the modules that a function of a package imports, by names of which some are relative."""
    parents = package_name.split(".") if package_name else []
    packages = [".".join(parents[:count]) for count in range(1, len(parents) + 1)]
    for name in names:
        full = [name, *(f"{one}.{name}" if name else one for one in packages)]
        yield from (sys.modules[one] for one in full if one in sys.modules)


def module_of(value: Any) -> str | None:
    """Return the name of the module that a value is, or is from."""
    if isinstance(value, ModuleType):
        return value.__name__
    owner = getattr(value, "__self__", None) if isinstance(value, BuiltinFunctionType) else None
    found = getattr(value if owner is None or isinstance(owner, ModuleType) else type(owner), "__module__", None)
    return found if isinstance(found, str) else None
