"""rnnkit: write the equation of a recurrent cell once, in plain tensor operations.

Names are resolved on first use, so that `import rnnkit` and `rnnkit --help` load neither torch nor a plugin.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rnnkit import errors, init, interop, memory, testing
    from rnnkit.core.cell import Cell, Projected, State, holding, map_parts, parts_of, time_slices
    from rnnkit.core.input_checks import casts_automatically, check_step
    from rnnkit.core.row_masks import choose_rows, hold_ended, running_rows
    from rnnkit.core.snapshot import Snapshot
    from rnnkit.core.task import Batch, Task
    from rnnkit.core.unroller import Masks, Unroller, prepare
    from rnnkit.core.watching import is_traced, transformed_by, watched_by
    from rnnkit.errors import RnnkitError
    from rnnkit.export import Exported, TensorInfo, export_model
    from rnnkit.layers.model import Model
    from rnnkit.layers.rnn import RNN
    from rnnkit.layers.shallow_copy import with_tensors
    from rnnkit.layers.weight_drop import WeightDrop, weight_drop
    from rnnkit.layers.wrapper import Wrapper, shells
    from rnnkit.plugin.cell_spec import CellLike
    from rnnkit.plugin.hookspecs import hookimpl
    from rnnkit.plugin.registry import cells, tasks, unrollers
    from rnnkit.testing.gradcheck import gradcheck
    from rnnkit.testing.gradient_report import GradientReport
    from rnnkit.training.evaluation import evaluate
    from rnnkit.training.record import Record
    from rnnkit.training.training import Training, train

_HOMES = {
    "Batch": "core.task",
    "Cell": "core.cell",
    "CellLike": "plugin.cell_spec",
    "Exported": "export",
    "GradientReport": "testing.gradient_report",
    "Masks": "core.unroller",
    "Model": "layers.model",
    "Projected": "core.cell",
    "RNN": "layers.rnn",
    "Record": "training.record",
    "RnnkitError": "errors",
    "Snapshot": "core.snapshot",
    "State": "core.cell",
    "Task": "core.task",
    "TensorInfo": "export",
    "Training": "training.training",
    "Unroller": "core.unroller",
    "WeightDrop": "layers.weight_drop",
    "Wrapper": "layers.wrapper",
    "casts_automatically": "core.input_checks",
    "cells": "plugin.registry",
    "check_step": "core.input_checks",
    "choose_rows": "core.row_masks",
    "evaluate": "training.evaluation",
    "export_model": "export",
    "gradcheck": "testing.gradcheck",
    "hold_ended": "core.row_masks",
    "holding": "core.cell",
    "hookimpl": "plugin.hookspecs",
    "is_traced": "core.watching",
    "map_parts": "core.cell",
    "parts_of": "core.cell",
    "prepare": "core.unroller",
    "running_rows": "core.row_masks",
    "shells": "layers.wrapper",
    "tasks": "plugin.registry",
    "time_slices": "core.cell",
    "train": "training.training",
    "transformed_by": "core.watching",
    "unrollers": "plugin.registry",
    "watched_by": "core.watching",
    "weight_drop": "layers.weight_drop",
    "with_tensors": "layers.shallow_copy",
}
_MODULES = ("errors", "init", "interop", "memory", "testing")

__all__ = [  # noqa: RUF022  (as _HOMES, sorted; spelt out for type checkers)
    "Batch",
    "Cell",
    "CellLike",
    "Exported",
    "GradientReport",
    "Masks",
    "Model",
    "Projected",
    "RNN",
    "Record",
    "RnnkitError",
    "Snapshot",
    "State",
    "Task",
    "TensorInfo",
    "Training",
    "Unroller",
    "WeightDrop",
    "Wrapper",
    "casts_automatically",
    "cells",
    "check_step",
    "choose_rows",
    "errors",
    "evaluate",
    "export_model",
    "gradcheck",
    "hold_ended",
    "holding",
    "hookimpl",
    "init",
    "interop",
    "is_traced",
    "map_parts",
    "memory",
    "parts_of",
    "prepare",
    "running_rows",
    "shells",
    "tasks",
    "testing",
    "time_slices",
    "train",
    "transformed_by",
    "unrollers",
    "watched_by",
    "weight_drop",
    "with_tensors",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"rnnkit.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnkit' has no attribute {name!r}")
    value = getattr(import_module(f"rnnkit.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
