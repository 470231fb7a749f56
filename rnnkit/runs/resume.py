"""Going on from a checkpoint: what must fit, and what is told where it was made elsewhere."""

import logging
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rnnkit.checkpoints.checkpoint import Checkpoint, environment
from rnnkit.errors import CheckpointError, UsageError
from rnnkit.plugin.class_import import digests
from rnnkit.runs.setting_fields import CHANGEABLE_ON_RESUME
from rnnkit.runs.settings import Settings
from rnnkit.support.nested_tensors import pack
from rnnkit.support.paths import AnyPath, as_path
from rnnkit.training import saving
from rnnkit.training.training import Training

log = logging.getLogger(__name__)


def take_up(training: Training, checkpoint: Checkpoint) -> None:
    """Load a checkpoint into a training of the same settings.

    Raises:
        CheckpointError: it is another training's, or none's.
        DataError: the data are others.
    """
    size = checkpoint.manifest.get("metrics_bytes")
    if type(size) is not int or not 0 <= size < 2**63:
        raise CheckpointError(
            f"{checkpoint.path} does not fit this run: the metrics' size is {size!r}; put a copy back, or train anew"
        )
    saving.take_up(training, checkpoint)


def check_unfinished(training: Training, path: AnyPath) -> None:
    """Raise UsageError if there is nothing left to do for a training."""
    path = as_path(path)
    if training.step >= training.steps:
        raise UsageError(f"{path} has taken {training.step} steps; to go on, give more than that with --steps")
    if training.done:
        raise UsageError(
            f"{path} has ended at step {training.step}, where its patience was spent; nothing is left to do"
        )


def surroundings(settings: Settings) -> dict[str, Any]:
    """Return what bit-exact repetition depends on beside the settings; of an imported cell, what its source is."""
    return {**environment(settings.device), **digests(settings.cell)}


def tell_changes(checkpoint: Checkpoint, settings: Settings) -> None:
    """Say what differs from where the checkpoint was made, and from what it was made with."""
    kept, _ = pack({name: value for name, value in asdict(settings).items() if name not in CHANGEABLE_ON_RESUME})
    # Where files lie is of no account: the data were compared.
    files = settings.task_class.files
    for entry, now in (("environment", surroundings(settings)), ("settings", kept)):
        before = checkpoint.manifest.get(entry)
        for name, value in now.items():
            was = before.get(name) if isinstance(before, dict) else None
            if _without(was, files) != _without(value, files):
                log.warning("%s was %r when the checkpoint was made, now it is %r; bits may differ", name, was, value)


def _without(value: Any, names: Iterable[str]) -> Any:
    """Return a table without some of its entries; any other value as it is."""
    return {key: item for key, item in value.items() if key not in names} if isinstance(value, dict) else value
