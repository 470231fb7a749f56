"""The inspections of a run in training: gradient flow and gates at some of its updates, a line of JSON each."""

import json
import logging
import os

import torch
from torch.nn import Module

from rnnkit.core.task import Batch, Task
from rnnkit.inspection import gate_activity, gradient_flow
from rnnkit.inspection.over_training import Snapshot
from rnnkit.inspection.study import longest_rows
from rnnkit.runs.log import bytes_until
from rnnkit.support.atomic_files import reported
from rnnkit.support.paths import AnyPath, as_path

log = logging.getLogger(__name__)

INSPECTIONS = "inspections.jsonl"
ROWS = 8
"""Of the batch that is looked at, the same one every time."""


def inspection_batch(task: Task, seed: int) -> Batch:
    """Return the batch that a run of this seed is inspected on, its longest rows; training does not notice."""
    return longest_rows(task, task.batch(ROWS, torch.Generator().manual_seed(seed)))


class InspectionLog:
    """Appends to a run's `inspections.jsonl`.

    Args:
        folder: the run's.
        task: whose loss flows back.
        seed: of the run.
        step: later lines are cut off, as is one that was not finished.

    Raises:
        ResourceError: the disk or folder takes no more.
    """

    def __init__(self, folder: AnyPath, task: Task, seed: int, step: int = 0) -> None:
        self._path = as_path(folder) / INSPECTIONS
        self._task = task
        self._batch = inspection_batch(task, seed)
        with reported(self._path):
            self._path.touch()
            os.truncate(self._path, bytes_until(self._path, step))

    def append(self, step: int, model: Module) -> None:
        """Inspect the model as it is after update `step`, and write that down.

        Raises:
            ResourceError: the disk takes no more.
        """
        flow = gradient_flow(model, task=self._task, batch=self._batch)
        gates = gate_activity(model, self._batch.xs)
        line = json.dumps(Snapshot.of(step, flow, gates)._asdict()).encode() + b"\n"
        with reported(self._path), self._path.open("ab") as file:
            file.write(line)


def read_inspections(folder: AnyPath) -> list[Snapshot]:
    """Return what `--inspect-every` wrote down of the run in `folder`, in order; nothing if it was not asked for.

    A line that is damaged is passed over with a warning.
    """
    path = as_path(folder) / INSPECTIONS
    if not path.exists():
        return []
    snapshots = []
    with reported(path):
        lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    for number, line in enumerate(lines, start=1):
        try:
            snapshots.append(Snapshot.from_json(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("%s: line %d is damaged, and is passed over", path, number)
    return snapshots
