"""The conformance kit: the tests that authors of cells, unrollers and tasks run on their own.

Each function tests every promise of its kind and raises `CheckError` with one sentence for each that is broken:

    def test_my_cell():
        rnnkit.testing.check_cell(MyCell)
"""

import inspect
from collections.abc import Callable
from typing import Any

from rnnkit.core.cell import Cell
from rnnkit.core.task import Task
from rnnkit.core.unroller import Unroller
from rnnkit.errors import UsageError
from rnnkit.plugin.class_path import described
from rnnkit.plugin.resolve import check_options
from rnnkit.testing.cells import check_cell, inspect_cell
from rnnkit.testing.conformance import Conformance
from rnnkit.testing.law import differences
from rnnkit.testing.tasks import check_task, inspect_task
from rnnkit.testing.unrollers import check_unroller, inspect_unroller

__all__ = [
    "Conformance",
    "base_of",
    "check_cell",
    "check_task",
    "check_unroller",
    "differences",
    "inspect_any",
    "inspect_cell",
    "inspect_task",
    "inspect_unroller",
    "noun_of",
]


KINDS: dict[str, tuple[type, Callable[..., Conformance]]] = {
    "cell": (Cell, inspect_cell),
    "unroller": (Unroller, inspect_unroller),
    "task": (Task, inspect_task),
}


def noun_of(kind: Any, label: str = "") -> str:
    """Tell whether a class is a cell, an unroller or a task; raises UsageError if it is none, naming it by `label`."""
    for noun, (base, _) in KINDS.items():
        if inspect.isclass(kind) and issubclass(kind, base):
            return noun
    what = f"{label!r}, {described(kind)}," if label else described(kind)
    raise UsageError(f"{what} is neither a Cell nor an Unroller nor a Task; name a class derived from one of these")


def base_of(noun: str) -> type:
    """Return what a class must be derived from to be a "cell", an "unroller" or a "task"."""
    return KINDS[noun][0]


def inspect_any(kind: Any, sizes: dict[str, int] | None = None, **options: Any) -> Conformance:
    """Test a class by the promises of its kind, without raising.

    Args:
        kind: the class.
        sizes: for a cell, `batch_size`, `input_size` and `hidden_size` as of `check_cell`.
        **options: of its own.

    Raises:
        UsageError: it is neither a Cell nor an Unroller nor a Task, or lacks an option; sizes of what is no cell.
    """
    noun = noun_of(kind)
    check_options(noun, kind, options)
    if sizes and noun != "cell":
        raise UsageError(f"{kind.name!r} is no cell but of the kind {noun}, which is checked at sizes of its own")
    return KINDS[noun][1](kind, **(sizes or {}), **options)
