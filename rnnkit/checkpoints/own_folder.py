"""A folder of checkpoints that a loop of one's own writes to: it knows its own, and never mixes them with others'."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from rnnkit.checkpoints.checkpoint import Checkpoint, environment
from rnnkit.checkpoints.checkpoint_store import CHECKPOINTS, CheckpointStore
from rnnkit.checkpoints.lock import locked
from rnnkit.errors import CheckpointError, UsageError, check_whole
from rnnkit.support.atomic_files import reported, sweep
from rnnkit.support.paths import AnyPath, as_path

log = logging.getLogger(__name__)


class OwnFolder:
    """Writes and finds checkpoints; the folder is locked for the time of a call.

    Args:
        path: the folder; it is made with the first checkpoint.
        keep: how many of the last are kept, beside the best.

    Raises:
        UsageError: `keep` is no whole number above zero.
    """

    def __init__(self, path: AnyPath, keep: int = 2) -> None:
        check_whole("keep", keep)
        self.path = as_path(path)
        self._store = CheckpointStore(self.path / CHECKPOINTS, keep)
        self._known = -1
        """The last step that was written or found here: what is behind it, somebody else has written."""

    def steps(self) -> list[int]:
        """Return the steps of which there are checkpoints, in order."""
        return self._store.steps() if os.path.lexists(self._store.folder) else []

    def write(
        self,
        step: int,
        weights: Mapping[str, Tensor],
        training: Any,
        about: Mapping[str, Any],
        *,
        averaged: Mapping[str, Tensor] | None = None,
        best: int | None = None,
    ) -> None:
        """Write the checkpoint of a step, then remove those that are neither among the last nor the best.

        Raises:
            UsageError: the step is before the last.
            CheckpointError: there is one that was neither written nor found here, or another process is writing.
            ResourceError: the disk or folder takes no more; the checkpoints before are intact.
        """
        check_whole("step", step, least=0)
        with reported(self._store.folder):
            self._store.folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            newest = max(self._store.steps(), default=-1)
            if newest > self._known:
                raise CheckpointError(
                    f"{self.path} holds step {newest}, which was not written or taken up here; resume from it, or "
                    "give another folder"
                )
            if step < newest:
                raise UsageError(f"step {step} comes after step {newest} in {self.path}; give steps in their order")
            if step == newest:
                log.warning("%s holds step %d already, which stays as it is", self.path, step)
            sweep(self._store.folder)
            kept = {"environment": environment(_device()), **about}
            averages = None if averaged is None else dict(averaged)
            self._store.save(step, dict(weights), training, kept, averaged=averages, best=best)
            self._known = step

    def newest(self, kind: str) -> Checkpoint | None:
        """Load the newest checkpoint that is intact, and remove what came after it; None: there is none yet.

        What is damaged, and what differs from where it was made, is told to the log.

        Args:
            kind: what must have written it.

        Raises:
            CheckpointError: something else has written it, none is intact, or another process is writing.
            ResourceError: the folder cannot be written.
        """
        if not os.path.lexists(self._store.folder):
            return None
        with self._alone():
            checkpoint, damaged = self._store.newest()
            if checkpoint is not None and checkpoint.manifest.get("kind") != kind:
                raise CheckpointError(
                    f"{checkpoint.path} was written by {_writer(checkpoint)}, not by a {kind}; give another folder"
                )
            for error in damaged:
                log.warning("%s; going on from an earlier checkpoint", error)
            self._known = -1 if checkpoint is None else checkpoint.manifest["step"]
            self._store.sweep(self._known if checkpoint is not None else None)
        if checkpoint is not None:
            _tell_changes(checkpoint)
        return checkpoint

    def load(self, step: int) -> Checkpoint:
        """Load the checkpoint of a step.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        return self._store.load(step)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes out."""
        descriptor = locked(self.path)
        try:
            yield
        finally:
            os.close(descriptor)


def _device() -> str:
    return "cuda" if torch.cuda.is_initialized() else "cpu"  # type: ignore[no-untyped-call]


def check_of_run(path: AnyPath) -> None:
    """Raise CheckpointError for a folder whose newest checkpoint a loop of one's own has written, and no run."""
    folder = as_path(path) / CHECKPOINTS
    checkpoint = CheckpointStore(folder).newest()[0] if folder.is_dir() else None
    if checkpoint is not None and checkpoint.manifest.get("kind") is not None:
        raise CheckpointError(
            f"{path} was written by {_writer(checkpoint)}, not by `rnnkit run`; go on from it by what wrote it "
            "(rnnkit.RunFolder, Training.resume), or give the folder of a run"
        )


def _writer(checkpoint: Checkpoint) -> str:
    kind = checkpoint.manifest.get("kind")
    return "`rnnkit run`" if kind is None else f"a {kind}"


def _tell_changes(checkpoint: Checkpoint) -> None:
    """Say what bit-exact repetition depends on and is not as it was."""
    before = checkpoint.manifest.get("environment")
    for name, now in environment(_device()).items():
        was = before.get(name) if isinstance(before, dict) else None
        if was != now:
            log.warning("%s was %r when %s was made, now it is %r; bits may differ", name, was, checkpoint.path, now)
