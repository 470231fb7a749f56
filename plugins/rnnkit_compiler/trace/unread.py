"""Attributes that a step writes before it reads them: no step depends on what the one before it has written."""

from collections.abc import Callable, Sequence

from torch import nn

import rnnkit
from rnnkit_compiler.trace.accesses import Accesses
from rnnkit_compiler.trace.named import named_in
from rnnkit_compiler.trace.paths import own_paths
from rnnkit_compiler.trace.reach import Reach
from rnnkit_compiler.trace.recording import WritingStep

PAST_NOTICE = frozenset(("type", "object", "inspect", "gc", "ctypes", "sys"))
"""What looks at an object without asking it, or at its class, which is another while accesses are noted."""

UNASKED = frozenset(("__getattribute__", "getattr_static", "__mro__", "__subclasses__"))
"""Attributes that do so."""


def check_followed(cell: nn.Module, paths: Sequence[str], reach: Reach) -> None:
    """Raise WritingStep unless what is written are attributes of modules, and whoever reads them is noted.

    Args:
        cell: whose step writes.
        paths: what it writes.
        reach: of the cell.
    """
    own = own_paths(cell).union(name for name, _ in cell.named_modules(remove_duplicate=False))
    names = [named_in(function.__code__) for function in reach.functions]
    is_unnoticed = any(
        PAST_NOTICE.intersection(each.outside) or UNASKED.intersection(each.attributes) for each in names
    )
    if not own.isdisjoint(paths) or is_unnoticed:
        raise WritingStep(tuple(paths), always=True)


def check_written_first(cell: rnnkit.Cell, paths: Sequence[str], step: Callable[[rnnkit.Cell], object]) -> None:
    """Raise WritingStep if a step reads an attribute, or looks for it, before it has written it.

    Args:
        cell: a copy, which lacks these attributes and is of no other use.
        paths: of the attributes.
        step: runs a step of such a copy.
    """
    try:
        accesses = Accesses(cell)
    except TypeError as error:
        raise WritingStep(tuple(paths), always=True) from error
    places = [(owner_of(cell, path), name_of(path)) for path in paths]
    step(cell)
    if not all(accesses.is_written_first(*place) for place in places):
        raise WritingStep(tuple(paths), always=True)


def remove(cell: nn.Module, paths: Sequence[str]) -> None:
    """Take attributes out of a cell."""
    for path in paths:
        vars(owner_of(cell, path)).pop(name_of(path), None)


def owner_of(cell: nn.Module, path: str) -> nn.Module:
    """Return the module that has an attribute."""
    return cell.get_submodule(path.rpartition(".")[0])


def name_of(path: str) -> str:
    """Return the name of an attribute in its module."""
    return path.rpartition(".")[2]
