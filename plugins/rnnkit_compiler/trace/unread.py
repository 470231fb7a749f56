"""Attributes that a step writes and does not read before: no step depends on what the one before it has written."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from rnnkit_compiler.trace.fingerprint import BESIDE
from rnnkit_compiler.trace.paths import own_paths
from rnnkit_compiler.trace.reach import Reach
from rnnkit_compiler.trace.recording import WritingStep


def check_unread(cell: nn.Module, paths: Sequence[str], reach: Reach) -> None:
    """Raise WritingStep unless it would show if a step read what it writes: these are attributes of modules alone.

    Args:
        cell: whose step writes.
        paths: what it writes.
        reach: of the cell.
    """
    own = own_paths(cell).union(name for name, _ in cell.named_modules(remove_duplicate=False))
    for path in paths:
        if path == BESIDE or path in own or reach.reads_whole or hasattr(type(owner_of(cell, path)), _name(path)):
            raise WritingStep(tuple(paths), always=True)


def remove(cell: nn.Module, paths: Sequence[str]) -> None:
    """Take attributes out of a cell of which nobody else knows; who asks for one before it is written is refused."""
    names: dict[nn.Module, set[str]] = {}
    for path in paths:
        names.setdefault(owner_of(cell, path), set()).add(_name(path))
    for owner, own in names.items():
        for name in own:
            vars(owner).pop(name, None)
        owner.__class__ = _refusing(type(owner), frozenset(own), tuple(paths))


def owner_of(cell: nn.Module, path: str) -> nn.Module:
    """Return the module that has an attribute."""
    return cell.get_submodule(path.rpartition(".")[0])


def _name(path: str) -> str:
    return path.rpartition(".")[2]


def _refusing(kind: type, names: frozenset[str], paths: tuple[str, ...]) -> type:
    """Return a class like `kind` whose objects refuse to be asked for attributes that are not there."""

    def look_up(self: Any, asked: str) -> Any:
        if asked in names:
            raise WritingStep(paths, always=True)
        return kind.__getattr__(self, asked)  # type: ignore[attr-defined]

    named = {"__getattr__": look_up, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (kind,), named)
