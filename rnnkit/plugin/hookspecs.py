"""The hooks a plugin may implement: module-level functions marked `@rnnkit.hookimpl`.

A distribution lists its modules in the entry-point group `rnnkit`; each is imported on the first look-up of a
name, and its hooks are called once.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from rnnkit.core.cell import Cell
    from rnnkit.core.task import Task
    from rnnkit.core.unroller import Unroller

PROJECT = "rnnkit"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def rnnkit_cells() -> "Iterable[type[Cell]]":  # type: ignore[empty-body]
    """Return the Cell classes that this plugin offers, each under its `name`."""


@hookspec
def rnnkit_unrollers() -> "Iterable[type[Unroller]]":  # type: ignore[empty-body]
    """Return the Unroller classes that this plugin offers, each under its `name`."""


@hookspec
def rnnkit_tasks() -> "Iterable[type[Task]]":  # type: ignore[empty-body]
    """Return the Task classes that this plugin offers, each under its `name`."""
