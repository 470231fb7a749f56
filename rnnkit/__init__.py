"""rnnkit: write the equation of a recurrent cell once, in plain tensor operations.

Names are resolved on first use, so that `import rnnkit` and `rnnkit --help` load neither torch nor a plugin.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rnnkit import errors, init, inspection, interop, memory, testing
    from rnnkit.checkpoints.checkpoint import load_checkpoint, save_checkpoint
    from rnnkit.checkpoints.run_folder import RunFolder
    from rnnkit.core.advancer import Advancer
    from rnnkit.core.bound import Bound
    from rnnkit.core.cell import Cell, Projected, State, map_parts, parts_of, tensors_replaced, time_slices
    from rnnkit.core.collection import collection_put_off
    from rnnkit.core.forecast import Forecast, ForecastError
    from rnnkit.core.input_checks import casts_automatically, check_step
    from rnnkit.core.labelling import Labelling, LabelScore
    from rnnkit.core.prediction import Prediction, Predictor
    from rnnkit.core.rival import Rival
    from rnnkit.core.row_masks import choose_rows, hold_ended, running_rows
    from rnnkit.core.snapshot import Snapshot
    from rnnkit.core.task import Batch, Task
    from rnnkit.core.units import Units
    from rnnkit.core.unroller import Masks, Prepared, Unroller, prepare
    from rnnkit.core.watching import is_traced, transformed_by, watched_by
    from rnnkit.errors import RnnkitError
    from rnnkit.export import Exported, TensorInfo, export_model, read_exported
    from rnnkit.layers.model import Model
    from rnnkit.layers.rnn import RNN
    from rnnkit.layers.shallow_copy import copy_with_tensors
    from rnnkit.layers.stepper import Stepper
    from rnnkit.layers.weight_drop import WeightDrop, weight_drop
    from rnnkit.layers.wrapper import Wrapper, nested_cells
    from rnnkit.loaders.collate import collate
    from rnnkit.plugin.cell_spec import CellLike
    from rnnkit.plugin.hookspecs import hookimpl
    from rnnkit.plugin.registry import Registry, cells, tasks, unrollers
    from rnnkit.racing.entry import race
    from rnnkit.racing.leaderboard import Place
    from rnnkit.racing.result import RaceResult
    from rnnkit.runs.folder import open_run
    from rnnkit.runs.history import RunHistory, read_history
    from rnnkit.runs.loading import TrainedRun, load
    from rnnkit.runs.tensorboard import TensorBoard
    from rnnkit.testing.gradcheck import gradcheck
    from rnnkit.testing.gradient_report import GradientReport
    from rnnkit.training.evaluation import evaluate
    from rnnkit.training.process_group import process_group
    from rnnkit.training.progress_bar import progress
    from rnnkit.training.record import Record
    from rnnkit.training.sampling import generate, generate_stream
    from rnnkit.training.schedule import Schedule
    from rnnkit.training.train import train
    from rnnkit.training.training import Training
    from rnnkit.training.truncation import Window, windows

_HOMES = {
    "Advancer": "core.advancer",
    "Bound": "core.bound",
    "Batch": "core.task",
    "Cell": "core.cell",
    "CellLike": "plugin.cell_spec",
    "Exported": "export",
    "Forecast": "core.forecast",
    "ForecastError": "core.forecast",
    "GradientReport": "testing.gradient_report",
    "LabelScore": "core.labelling",
    "Labelling": "core.labelling",
    "Masks": "core.unroller",
    "Model": "layers.model",
    "Place": "racing.leaderboard",
    "Prediction": "core.prediction",
    "Predictor": "core.prediction",
    "Prepared": "core.unroller",
    "Projected": "core.cell",
    "RNN": "layers.rnn",
    "RaceResult": "racing.result",
    "Record": "training.record",
    "Registry": "plugin.registry",
    "Rival": "core.rival",
    "RnnkitError": "errors",
    "RunFolder": "checkpoints.run_folder",
    "RunHistory": "runs.history",
    "Schedule": "training.schedule",
    "Snapshot": "core.snapshot",
    "State": "core.cell",
    "Stepper": "layers.stepper",
    "Task": "core.task",
    "TensorBoard": "runs.tensorboard",
    "TensorInfo": "export",
    "TrainedRun": "runs.loading",
    "Training": "training.training",
    "Units": "core.units",
    "Unroller": "core.unroller",
    "WeightDrop": "layers.weight_drop",
    "Window": "training.truncation",
    "Wrapper": "layers.wrapper",
    "casts_automatically": "core.input_checks",
    "cells": "plugin.registry",
    "check_step": "core.input_checks",
    "choose_rows": "core.row_masks",
    "collate": "loaders.collate",
    "collection_put_off": "core.collection",
    "copy_with_tensors": "layers.shallow_copy",
    "evaluate": "training.evaluation",
    "export_model": "export",
    "generate": "training.sampling",
    "generate_stream": "training.sampling",
    "gradcheck": "testing.gradcheck",
    "hold_ended": "core.row_masks",
    "hookimpl": "plugin.hookspecs",
    "is_traced": "core.watching",
    "load": "runs.loading",
    "load_checkpoint": "checkpoints.checkpoint",
    "map_parts": "core.cell",
    "nested_cells": "layers.wrapper",
    "open_run": "runs.folder",
    "parts_of": "core.cell",
    "prepare": "core.unroller",
    "process_group": "training.process_group",
    "progress": "training.progress_bar",
    "race": "racing.entry",
    "read_exported": "export",
    "read_history": "runs.history",
    "running_rows": "core.row_masks",
    "save_checkpoint": "checkpoints.checkpoint",
    "tasks": "plugin.registry",
    "tensors_replaced": "core.cell",
    "time_slices": "core.cell",
    "train": "training.train",
    "transformed_by": "core.watching",
    "unrollers": "plugin.registry",
    "watched_by": "core.watching",
    "weight_drop": "layers.weight_drop",
    "windows": "training.truncation",
}
_MODULES = ("errors", "init", "inspection", "interop", "memory", "testing")

__all__ = [
    "RNN",
    "Advancer",
    "Batch",
    "Bound",
    "Cell",
    "CellLike",
    "Exported",
    "Forecast",
    "ForecastError",
    "GradientReport",
    "LabelScore",
    "Labelling",
    "Masks",
    "Model",
    "Place",
    "Prediction",
    "Predictor",
    "Prepared",
    "Projected",
    "RaceResult",
    "Record",
    "Registry",
    "Rival",
    "RnnkitError",
    "RunFolder",
    "RunHistory",
    "Schedule",
    "Snapshot",
    "State",
    "Stepper",
    "Task",
    "TensorBoard",
    "TensorInfo",
    "TrainedRun",
    "Training",
    "Units",
    "Unroller",
    "WeightDrop",
    "Window",
    "Wrapper",
    "casts_automatically",
    "cells",
    "check_step",
    "choose_rows",
    "collate",
    "collection_put_off",
    "copy_with_tensors",
    "errors",
    "evaluate",
    "export_model",
    "generate",
    "generate_stream",
    "gradcheck",
    "hold_ended",
    "hookimpl",
    "init",
    "inspection",
    "interop",
    "is_traced",
    "load",
    "load_checkpoint",
    "map_parts",
    "memory",
    "nested_cells",
    "open_run",
    "parts_of",
    "prepare",
    "process_group",
    "progress",
    "race",
    "read_exported",
    "read_history",
    "running_rows",
    "save_checkpoint",
    "tasks",
    "tensors_replaced",
    "testing",
    "time_slices",
    "train",
    "transformed_by",
    "unrollers",
    "watched_by",
    "weight_drop",
    "windows",
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
