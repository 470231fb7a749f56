"""Cells whose step writes on them: the loop keeps what it writes; that is said once, and found out no second time."""

import logging
from collections.abc import Hashable
from weakref import WeakKeyDictionary

from rnnkit import Cell
from rnnkit_compiler._cache import Cache
from rnnkit_compiler.trace.fingerprint import BESIDE, Fingerprint, without
from rnnkit_compiler.trace.recording import WritingStep

logger = logging.getLogger("rnnkit")

FORMS = 128
"""Cells, alike but for what they write, that are remembered."""

_paths: "WeakKeyDictionary[type[Cell], tuple[str, ...]]" = WeakKeyDictionary()
"""By class, what steps write."""

_unread: "WeakKeyDictionary[type[Cell], dict[tuple[str, ...], None]]" = WeakKeyDictionary()
"""By class, what steps write that none has read before."""

_reasons: Cache[str] = Cache(FORMS)


def note(cell: Cell, fingerprint: Fingerprint, found: WritingStep) -> None:
    """Remember that a cell's step writes at each step, and say so at the first cell of its class."""
    if not found.always:
        return
    kind = type(cell)
    if kind not in _paths:
        logger.warning(
            "cell %r runs in the loop: each step writes %s, which the loop keeps and a kernel would not; what is to be "
            "seen outside is given out with the output, what later steps read is kept in the state",
            cell.name,
            ", ".join(f"{kind.__name__}.{path}" if path != BESIDE else "beside the cell" for path in found.paths),
        )
    _paths[kind] = tuple(dict.fromkeys((*_paths.get(kind, ()), *found.paths)))
    _reasons.get(_key(cell, fingerprint), lambda: str(found), kind)


def known_to_write(cell: Cell, fingerprint: Fingerprint) -> str:
    """Say of a cell that is as another whose step writes, but for what is written, why it is not recorded."""
    return _reasons.known(_key(cell, fingerprint)) or "" if type(cell) in _paths else ""


def _key(cell: Cell, fingerprint: Fingerprint) -> Hashable:
    return without(fingerprint.key, _paths[type(cell)])


def key_of_written(cell: Cell, fingerprint: Fingerprint, paths: tuple[str, ...]) -> Hashable:
    """Return what tells a cell whatever its steps have written, of which none reads anything before writing it."""
    _unread.setdefault(type(cell), {})[paths] = None
    return (paths, without(fingerprint.key, paths))


def keys_of_written(cell: Cell, fingerprint: Fingerprint) -> list[Hashable]:
    """Return by what keys a cell may be known whatever its steps have written."""
    return [(paths, without(fingerprint.key, paths)) for paths in _unread.get(type(cell), ())]
