"""The checkpoints of one run: a folder for each, the last few and the best kept."""

import os
import re
from pathlib import Path
from typing import Any

from torch import Tensor

from rnnkit.checkpoints.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rnnkit.errors import CheckpointError, ResourceError
from rnnkit.support.atomic_files import remove_folder, sweep, unreadable
from rnnkit.support.paths import AnyPath, as_path

NAME = re.compile(r"step-(\d{9,})")
CHECKPOINTS = "checkpoints"
"""The folder of them in that of a run."""


class CheckpointStore:
    """Saves, rotates and finds checkpoints.

    Args:
        folder: where; it must exist to save.
        keep: how many of the last are kept, beside the best.
    """

    def __init__(self, folder: AnyPath, keep: int = 2) -> None:
        folder = as_path(folder)
        self.folder = folder
        self.keep = keep

    def steps(self) -> list[int]:
        """Return the steps of which there are checkpoints, in order."""
        try:
            matches = [NAME.fullmatch(name) for name in os.listdir(self.folder)]
        except OSError as error:
            raise unreadable(self.folder, error) from None
        return sorted(int(match[1]) for match in matches if match and match[0] == self.path(int(match[1])).name)

    def path(self, step: int) -> Path:
        """Return the folder of one checkpoint."""
        return self.folder / f"step-{step:09d}"

    def save(
        self,
        step: int,
        weights: dict[str, Tensor],
        training: Any,
        about: dict[str, Any],
        *,
        averaged: dict[str, Tensor] | None = None,
        best: int | None = None,
    ) -> None:
        """Write the checkpoint of a step, then remove those that are neither among the last nor the best.

        One that is there already is left: the same run has the same bits at the same step.

        Raises:
            ResourceError: the disk or folder takes no more; the checkpoints before are intact.
        """
        try:
            if step not in self.steps():
                save_checkpoint(self.path(step), weights, training, {"step": step, "best": best, **about}, averaged)
            steps = self.steps()
        except CheckpointError as error:  # of the folder: none is read here
            raise ResourceError(f"nothing can be saved: {error}") from None
        for old in set(steps) - {*steps[-self.keep :], best}:
            remove_folder(self.path(old))

    def sweep(self, newest: int | None) -> None:
        """Remove what a killed writer left, and what is damaged: all after the newest step that is intact.

        No other process may be writing.
        """
        sweep(self.folder)
        for step in self.steps():
            if newest is not None and step > newest:
                remove_folder(self.path(step))

    def newest(self) -> tuple[Checkpoint | None, list[CheckpointError]]:
        """Load the newest checkpoint that is intact; beside it, what is wrong with those after it.

        Raises:
            CheckpointError: there are checkpoints, and none is intact.
        """
        damaged: list[CheckpointError] = []
        for step in reversed(self.steps()):
            try:
                return self.load(step), damaged
            except CheckpointError as error:
                damaged.append(error)
        if damaged:
            raise CheckpointError(
                f"{damaged[0]}; no checkpoint in {self.folder} is intact, put a copy back or train anew"
            )
        return None, []

    def load(self, step: int) -> Checkpoint:
        """Load the checkpoint of a step.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        checkpoint = load_checkpoint(self.path(step))
        if checkpoint.manifest.get("step") != step:
            raise CheckpointError(f"{checkpoint.path} holds step {checkpoint.manifest.get('step')!r}; it was renamed")
        return checkpoint
