"""Attributes that a step writes before it reads them: no step depends on what the one before it has written."""

from collections.abc import Callable, Sequence
from itertools import chain

from torch import Tensor, nn

import rnnkit
from rnnkit_compiler.trace.accesses import Accesses
from rnnkit_compiler.trace.named import named_in
from rnnkit_compiler.trace.reach import Reach
from rnnkit_compiler.trace.recording import WritingStep
from rnnkit_compiler.trace.way_back import go_back

Stepped = tuple[Tensor, Sequence[Tensor]]
"""Output and states."""

PAST_NOTICE = frozenset(("type", "object", "inspect", "gc", "ctypes", "sys"))
"""What looks at an object without asking it, or at its class, which is another while accesses are noted."""

UNASKED = frozenset(("__getattribute__", "getattr_static", "__mro__", "__subclasses__"))
"""Attributes that do so."""


def check_followed(cell: nn.Module, paths: Sequence[str], reach: Reach) -> None:
    """Raise WritingStep unless what is written are attributes and buffers, and whoever reads them is noted.

    Args:
        cell: whose step writes.
        paths: what it writes.
        reach: of the cell.
    """
    named = (cell.named_parameters(remove_duplicate=False), cell.named_modules(remove_duplicate=False))
    own = {path for path, _ in chain(*named)}
    names = [named_in(function.__code__) for function in reach.functions]
    is_unnoticed = any(
        PAST_NOTICE.intersection(each.outside) or UNASKED.intersection(each.attributes) for each in names
    )
    if not own.isdisjoint(paths) or is_unnoticed:
        raise WritingStep(tuple(paths), always=True)


def check_written_first(cell: rnnkit.Cell, paths: Sequence[str], step: Callable[[rnnkit.Cell], Stepped]) -> None:
    """Raise WritingStep if a step reads an attribute, or looks for it, before it has written it.

    On the way back nothing of it may be read or written: that goes from the last step to the first.

    Args:
        cell: a copy, which lacks these attributes and is of no other use.
        paths: of the attributes.
        step: runs a step of such a copy; returns output and states.
    """
    try:
        accesses = Accesses(cell)
    except TypeError as error:
        raise WritingStep(tuple(paths), always=True) from error
    places = [(owner_of(cell, path), name_of(path)) for path in paths]
    y, after = step(cell)
    is_known = all(accesses.is_written_first(*place) for place in places)
    accesses.forget()
    go_back([y, *after])
    if not is_known or any(accesses.is_touched(*place) for place in places):
        raise WritingStep(tuple(paths), always=True)


def remove(cell: nn.Module, paths: Sequence[str]) -> None:
    """Take attributes and buffers out of a cell."""
    for path in paths:
        owner, name = owner_of(cell, path), name_of(path)
        vars(owner).pop(name, None)
        owner._buffers.pop(name, None)


def owner_of(cell: nn.Module, path: str) -> nn.Module:
    """Return the module that has an attribute."""
    return cell.get_submodule(path.rpartition(".")[0])


def name_of(path: str) -> str:
    """Return the name of an attribute in its module."""
    return path.rpartition(".")[2]
