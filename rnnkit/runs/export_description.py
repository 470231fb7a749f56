"""What the exported file of a run says of it: task, data, cell and settings, but no place of a file."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rnnkit.core.task import Task
from rnnkit.plugin.constructor_options import given_options
from rnnkit.runs.data_record import DataRecord
from rnnkit.runs.settings import Settings
from rnnkit.support.paths import AnyPath


def describe_run(path: AnyPath, settings: Settings, task: Task) -> dict[str, Any]:
    """Return what is kept in a file of the model of the run in folder `path`.

    Raises:
        CheckpointError: what the run kept of its data is damaged.
    """
    kept = DataRecord.read(path)
    told = {key: value for key, value in asdict(settings).items() if key not in ("task", "cell", "task_options")}
    return {
        "task": settings.task,
        "task_options": _without(type(task).files, given_options(type(task), settings.task_options)),
        "every_step": task.every_step,
        "cell": settings.cell,
        "settings": told,
        "data": task.data_state(),
        "fingerprint": task.fingerprint() if kept is None else kept.fingerprint,
        **_names(task),
    }


def _without(files: tuple[str, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out where files lay."""
    return {name: value for name, value in options.items() if name not in files}


def _names(task: Task) -> dict[str, Any]:
    """Return what symbols and outputs are called: without it nobody can feed the model, or read what it says."""
    named = {"symbols": task.symbol_names(), "labels": task.output_names()}
    return {key: names for key, names in named.items() if names is not None}
