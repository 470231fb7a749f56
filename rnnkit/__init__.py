"""rnnkit: write the equation of a recurrent cell once, in plain tensor operations.

Names are resolved on first use, so that `import rnnkit` and `rnnkit --help` load neither torch nor a plugin.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rnnkit import errors, init, interop, memory, testing
    from rnnkit.cell import Cell, Projected, State, holding, map_parts, parts_of, time_slices
    from rnnkit.choice import CellLike
    from rnnkit.drop_connect import WeightDrop, weight_drop
    from rnnkit.errors import RnnkitError
    from rnnkit.evaluation import evaluate
    from rnnkit.export import Exported, TensorInfo, export_model
    from rnnkit.finite_differences import gradcheck
    from rnnkit.gradient_report import GradientReport
    from rnnkit.hookspecs import hookimpl
    from rnnkit.input_checks import casts_automatically, check_step
    from rnnkit.layer import RNN
    from rnnkit.model import Model
    from rnnkit.record import Record
    from rnnkit.registry import cells, tasks, unrollers
    from rnnkit.snapshot import Snapshot
    from rnnkit.task import Batch, Task
    from rnnkit.training import Training, train
    from rnnkit.twin import with_tensors
    from rnnkit.unroll import Masks, Unroller, prepare
    from rnnkit.watching import is_traced, transformed_by, watched_by
    from rnnkit.wrapper import Wrapper

_HOMES = {
    "Batch": "task",
    "Cell": "cell",
    "CellLike": "choice",
    "Exported": "export",
    "GradientReport": "gradient_report",
    "Masks": "unroll",
    "Model": "model",
    "Projected": "cell",
    "RNN": "layer",
    "Record": "record",
    "RnnkitError": "errors",
    "Snapshot": "snapshot",
    "State": "cell",
    "Task": "task",
    "TensorInfo": "export",
    "Training": "training",
    "Unroller": "unroll",
    "WeightDrop": "drop_connect",
    "Wrapper": "wrapper",
    "casts_automatically": "input_checks",
    "cells": "registry",
    "check_step": "input_checks",
    "evaluate": "evaluation",
    "export_model": "export",
    "gradcheck": "finite_differences",
    "holding": "cell",
    "hookimpl": "hookspecs",
    "is_traced": "watching",
    "map_parts": "cell",
    "parts_of": "cell",
    "prepare": "unroll",
    "tasks": "registry",
    "time_slices": "cell",
    "train": "training",
    "transformed_by": "watching",
    "unrollers": "registry",
    "watched_by": "watching",
    "weight_drop": "drop_connect",
    "with_tensors": "twin",
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
    "errors",
    "evaluate",
    "export_model",
    "gradcheck",
    "holding",
    "hookimpl",
    "init",
    "interop",
    "is_traced",
    "map_parts",
    "memory",
    "parts_of",
    "prepare",
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
