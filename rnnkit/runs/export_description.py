"""What the exported file of a run says of it: task, data, cell and settings, but no place of a file."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

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
        **_symbols(task),
    }


def _without(files: tuple[str, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out where files lay."""
    return {name: value for name, value in options.items() if name not in files}


def _symbols(task: Task) -> dict[str, Any]:
    """Return the text of each symbol, where each has one of its own: without it nobody can feed the model."""
    if not task.symbols or task.prompt() is None:
        return {}
    texts = [task.sample(torch.tensor([symbol])) for symbol in range(task.input_size)]
    return {"symbols": texts} if len(set(texts)) == len(texts) else {}
