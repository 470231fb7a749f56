"""What a run keeps for predictions, in calibration.json: how far off its models are, measured on held-out data."""

import copy
import hashlib
import json
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from rnnkit.checkpoints.checkpoint import restore
from rnnkit.checkpoints.checkpoint_store import CheckpointStore
from rnnkit.core.task import Task
from rnnkit.errors import CheckpointError, ResourceError, UsageError, one_line
from rnnkit.support.atomic_files import read_file, write_file
from rnnkit.support.paths import AnyPath, as_path
from rnnkit.training.evaluation import evaluating
from rnnkit.training.training import Training

CALIBRATION = "calibration.json"
LIMIT = 2**28
"""Bytes."""

REMEDY = "put a copy back, or remove it: it is measured again where the run's data are at hand"


def kept_calibration(path: AnyPath, model: nn.Module) -> dict[str, Any] | None:
    """Return what the run in folder `path` kept for this model; None: nothing.

    Raises:
        CheckpointError: the file is damaged.
    """
    found: dict[str, Any] | None = _read(path).get(weights_digest(model))
    return found


def keep_calibration(path: AnyPath, task: Task, model: nn.Module) -> dict[str, Any]:
    """Measure what predictions need, write it down beside what is there of other models, and return it.

    A folder that takes nothing is left as it is.

    Raises:
        DataError: the data are gone, or unfit.
        CheckpointError: the file is damaged.
    """
    state = _measured(task, model)
    with suppress(ResourceError):
        _write(path, {**_read(path), weights_digest(model): state})
    return state


def keep_calibrations(path: AnyPath, training: Training, store: CheckpointStore) -> None:
    """Measure and write down, at the end of a training, what predictions of its models need, the last and the best.

    Nothing is written for a task that needs nothing.

    Raises:
        ResourceError: the disk or folder takes no more.
    """
    model = training.eval_model
    last = _measured(training.task, model)
    if not last:
        return
    kept = {weights_digest(model): last}
    if training.best is not None and training.best[0] != training.step:
        checkpoint, model = store.load(training.best[0]), copy.deepcopy(model)
        restore(model, checkpoint.weights if checkpoint.averaged is None else checkpoint.averaged, checkpoint.path)
        kept[weights_digest(model)] = _measured(training.task, model)
    _write(path, kept)


def weights_digest(model: nn.Module) -> str:
    """Return the sha256 of a model's weights, by which it is known again."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(plain.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _measured(task: Task, model: nn.Module) -> dict[str, Any]:
    with evaluating(model):
        state = task.calibration(model)
    try:
        plain: dict[str, Any] = json.loads(json.dumps(state, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(f"task {task.name!r}: calibration() is not JSON ({one_line(error)})") from None
    return plain


def _read(path: AnyPath) -> dict[str, Any]:
    file = as_path(path) / CALIBRATION
    if not file.exists():
        return {}
    try:
        values = json.loads(read_file(file, LIMIT))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is not readable: {error}; {REMEDY}") from None
    if not isinstance(values, dict) or values.keys() != {"sha256", "of"} or values["sha256"] != _sha256(values["of"]):
        raise CheckpointError(f"{file} is not what was written (sha256 differs); {REMEDY}")
    kept: dict[str, Any] = values["of"]
    return kept


def _write(path: AnyPath, kept: dict[str, Any]) -> None:
    write_file(as_path(path) / CALIBRATION, json.dumps({"of": kept, "sha256": _sha256(kept)}).encode() + b"\n")


def _sha256(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
