"""Cells whose floats are annealed: one program for all values in place of one for each."""

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

from torch import Tensor

from rnnkit import Cell
from rnnkit_compiler._candidates import BACKENDS
from rnnkit_compiler._program import Program
from rnnkit_compiler._repetition import annealed
from rnnkit_compiler.backends.base.backend import Refusal
from rnnkit_compiler.trace.annealed import numbers_of, steps_alike, with_tensors

Find = Callable[[Cell], Program | Refusal]

_fixed: "WeakKeyDictionary[type[Cell], set[str]]" = WeakKeyDictionary()
"""By class, the floats whose values a step needs in Python, so that they stay in its recording."""

_refused: "WeakKeyDictionary[type[Cell], set[str]]" = WeakKeyDictionary()
"""By class, why its cells run in the loop whatever their numbers are."""


def program_of(cell: Cell, xs: Tensor, states: Sequence[Tensor], find: Find) -> Program | Refusal:
    """Return the program of a cell, of which `find` may be asked as it is, or with tensors in place of floats."""
    kind = type(cell)
    paths = numbers_of(cell, [path for path in annealed(kind) if path not in _fixed.get(kind, ())])
    if not paths:
        return find(cell)
    program = find(with_tensors(cell, paths))
    if isinstance(program, Refusal) and program.reason in _refused.get(kind, ()):
        return program
    if isinstance(program, Program) and not {*program.tables}.intersection(paths):  # which Python would need
        if program.annealed is None:
            program.annealed = (
                paths if _is_as_good(program, cell, find) and steps_alike(cell, paths, xs, states) else ()
            )
        if program.annealed:
            return program
    own = find(cell)
    if isinstance(program, Refusal) and program == own:
        _refused.setdefault(kind, set()).add(program.reason)
    else:
        _fixed.setdefault(kind, set()).update(paths)
    return own


def _is_as_good(program: Program, cell: Cell, find: Find) -> bool:
    """Tell whether a program is by the backend that has these very numbers."""
    if program.backend.name != BACKENDS[-1].name or not program.reason:
        return True
    own = find(cell)
    return isinstance(own, Refusal) or own.backend.name == program.backend.name
