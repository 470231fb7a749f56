"""The folder of a run: config.toml, env.json, data.json, data/, metrics.jsonl, times.jsonl, checkpoints/ and, where
it was asked for, inspections.jsonl."""

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import rnnkit
from rnnkit.checkpoints.checkpoint import ENVIRONMENT, environment, restore
from rnnkit.checkpoints.checkpoint_store import CHECKPOINTS, CheckpointStore
from rnnkit.checkpoints.lock import LOCK, locked
from rnnkit.core.task import Task
from rnnkit.errors import CheckpointError, PluginError, ResourceError, UnknownNameError, UsageError
from rnnkit.layers.model import Model
from rnnkit.layers.unroller_report import running
from rnnkit.memory.replaying import layers_of
from rnnkit.plugin.cell_spec import choose
from rnnkit.plugin.class_import import homes
from rnnkit.runs.calibration_record import keep_calibrations
from rnnkit.runs.config import relocated
from rnnkit.runs.data_copies import keep_copies
from rnnkit.runs.data_record import DATA, DataRecord, kept_task
from rnnkit.runs.inspection_log import InspectionLog
from rnnkit.runs.log import METRICS, TIMES, RunLog
from rnnkit.runs.parameter_count import counted
from rnnkit.runs.resume import check_unfinished, surroundings, take_up, tell_changes
from rnnkit.runs.settings import CONFIG, Settings
from rnnkit.support.atomic_files import reported, sweep, write_file, write_folder
from rnnkit.support.nested_tensors import pack
from rnnkit.support.paths import AnyPath, as_path, file_word, free_path
from rnnkit.training.record import Record
from rnnkit.training.training import Training

NO_STEP = -1

log = logging.getLogger(__name__)


class RunWriter:
    """Writes a run down as it goes: every record, and checkpoints. One process at a time; of those that train
    together, the first.

    A new folder is made with the first record, so that a run that cannot begin leaves nothing, and is there whole or
    not at all.

    Args:
        path: where; None: `runs/<task>-<cell>-<time>`.
        settings: what the run is made of.
        new: whether nothing may be there yet.

    Raises:
        UsageError: the folder is to be new, and exists.
    """

    def __init__(self, path: AnyPath | None, settings: Settings, *, new: bool = True) -> None:
        self.path = free_path(Path("runs") / _name(settings)) if path is None else as_path(path)
        self.settings = settings
        self._store = CheckpointStore(self.path / CHECKPOINTS, settings.keep)
        self._log: RunLog | None = None
        self._inspections: InspectionLog | None = None
        self._about: dict[str, Any] = {}
        self._lock: int | None = None
        if new and os.path.lexists(self.path):
            raise UsageError(f"{self.path} exists already; give another folder with --out, or --resume it")

    @classmethod
    def resume(cls, path: AnyPath, settings: Settings, training: Training) -> "RunWriter":
        """Take up a run where its newest intact checkpoint left it; what came after that is cut off.

        What differs from where it ran before, and checkpoints that are damaged, are told to the log.

        Raises:
            CheckpointError: another process writes there, or what is there does not fit.
            DataError: the data are others.
            UsageError: all steps have been taken.
            ResourceError: the disk or folder takes no more.
        """
        folder = cls(path, settings, new=False)
        if not training.processes.is_main:
            folder._follow(training)
            return folder
        folder._lock = locked(folder.path)
        try:
            folder._take_up(training)
        except BaseException:
            folder.close()
            raise
        return folder

    def _follow(self, training: Training) -> None:
        """Load the checkpoint that the main process has loaded."""
        (step,) = training.processes.broadcast(NO_STEP)
        if step != NO_STEP:
            take_up(training, self._store.load(int(step)))
            check_unfinished(training, self.path)

    def _take_up(self, training: Training) -> None:
        """Load the newest intact checkpoint, remove what came after it, and go on writing from there."""
        checkpoint, damaged = self._store.newest()
        sweep(self.path)
        sweep(self.path / CHECKPOINTS)
        for error in damaged:
            log.warning("%s; going on from an earlier checkpoint", error)
        training.processes.broadcast(NO_STEP if checkpoint is None else checkpoint.manifest["step"])
        if checkpoint is not None:
            take_up(training, checkpoint)
            tell_changes(checkpoint, self.settings)
            check_unfinished(training, self.path)
        self._store.sweep(training.step)
        written = 0 if checkpoint is None else checkpoint.manifest["metrics_bytes"]
        self._log = RunLog(self.path, written, training.step)
        write_file(self.path / CONFIG, self.settings.to_toml().encode())
        if not (self.path / DATA).exists():  # of an rnnkit that kept none; the data are those of then, as was checked
            write_file(self.path / DATA, DataRecord.of(training.task).to_json())
        keep_copies(self.path, self.settings)

    def recording(self, training: Training) -> Iterator[Record]:
        """Train, and pass records on, each after it is written down; checkpoints are made where they are due.

        Raises:
            ResourceError: the folder cannot be made, or the disk takes no more.
        """
        self._about = running(layers_of(training.model), self.settings.unroller) | counted(training.model)
        for record in training.records():
            if training.processes.is_main:
                self._append(record, training.task)
                self._inspect(record.step, training)
            best = training.best is not None and training.best[0] == record.step
            if best or training.done or (self.settings.save_every and record.step % self.settings.save_every == 0):
                self.save(training)
            if training.done and training.processes.is_main:
                keep_calibrations(self.path, training, self._store)
            yield record

    def save(self, training: Training) -> None:
        """Make a checkpoint of the step that training is at; processes that train together must all call it.

        Raises:
            ResourceError: the disk or folder takes no more; the checkpoints before are intact.
        """
        state = training.state()
        if self._log is None:
            return
        self._store.save(
            training.step,
            training.model.state_dict(),
            state,
            {
                "version": rnnkit.__version__,
                "settings": pack(asdict(self.settings))[0],
                "environment": surroundings(self.settings),
                "data": training.task.fingerprint(),
                "metrics_bytes": self._log.sync(),
            },
            averaged=None if training.averaged is None else training.eval_model.state_dict(),
            best=None if training.best is None else training.best[0],
        )

    @property
    def resumable(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        with suppress(CheckpointError, ResourceError):
            return bool(self._store.steps())
        return False

    def close(self) -> None:
        """Close the files and let others in."""
        if self._log is not None:
            self._log.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, record: Record, task: Task) -> None:
        if self._log is None:
            self._make(task)
        assert self._log is not None
        self._log.append(record)

    def _inspect(self, step: int, training: Training) -> None:
        """Record gradient flow and gates where that is due."""
        if self.settings.inspect_every and step % self.settings.inspect_every == 0:
            if self._inspections is None:
                self._inspections = InspectionLog(self.path, training.task, self.settings.seed, step - 1)
            self._inspections.append(step, training.eval_model)

    def _make(self, task: Task) -> None:
        imports = {path: str(file) for path, file in homes(self.settings.cell).items()}
        about = {**environment(self.settings.device), **self._about, "imports": imports}
        files = {
            CONFIG: self.settings.to_toml().encode(),
            ENVIRONMENT: json.dumps(about, indent=2).encode() + b"\n",
            DATA: DataRecord.of(task).to_json(),
            **dict.fromkeys((METRICS, TIMES, LOCK), b""),
        }
        try:
            with reported(self.path):
                if not os.path.lexists(self.path.parent):
                    self.path.parent.mkdir(parents=True, exist_ok=True)
            write_folder(self.path, files, [CHECKPOINTS])
        except ResourceError as error:
            reason = str(error).rpartition(": ")[2]
            raise ResourceError(
                f"{self.path} cannot be made: {reason}; mend that, or give another folder with --out"
            ) from None
        self._lock = locked(self.path)
        keep_copies(self.path, self.settings)
        self._log = RunLog(self.path)


def open_run(
    path: AnyPath, *, best: bool = False, device: str | None = None, files: Mapping[str, Any] | None = None
) -> tuple[Settings, Task, Model]:
    """Rebuild what a run left: its settings, task and trained model, with averaged weights where there are some.

    The task has the scale, columns or alphabet that the run kept, whatever its data are now; a first-party one reads
    them when batches are asked for.

    Args:
        path: the folder of the run.
        best: take the checkpoint of the best validation rather than the newest one.
        device: where to; None: where it was trained.
        files: where the task's files lie now, by option: {"text": "moved.txt"}.

    Raises:
        UsageError: `files` names an option that is no file.
        CheckpointError: the folder is not a run's, or it has no intact checkpoint, or not that of the best validation.
        ResourceError: the device is not here.
    """
    path = as_path(path)
    settings = read_settings(path)
    settings = relocated(settings if device is None else replace(settings, device=device), files or {})
    task = kept_task(path, settings)
    model = settings.make_model(task)
    store = CheckpointStore(path / CHECKPOINTS)
    checkpoint, damaged = store.newest()
    if checkpoint is None:
        raise CheckpointError(f"{path} has no checkpoint yet; train it: rnnkit run --resume {path}")
    for error in damaged:
        log.warning("%s; taking an earlier checkpoint", error)
    if best:
        if checkpoint.manifest.get("best") is None:
            raise CheckpointError(f"{path} has not been validated yet; take its newest checkpoint, not the best")
        checkpoint = store.load(checkpoint.manifest["best"])
    restore(model, checkpoint.weights if checkpoint.averaged is None else checkpoint.averaged, checkpoint.path)
    return settings, task, model


def read_settings(path: AnyPath) -> Settings:
    """Read the settings of the run in a folder.

    Raises:
        CheckpointError: the folder is not a run's.
        PluginError: its cell cannot be imported; the message says where it was.
    """
    path = as_path(path)
    settings = Settings.of_run(path)
    try:
        choose(settings.cell)
    except UnknownNameError:
        raise
    except (PluginError, UsageError) as error:
        raise type(error)(f"{error}{_remedy(path)}") from None
    return settings


def _remedy(path: Path) -> str:
    """Say where the classes stood that a run's cell is imported from: from there, they can be."""
    with suppress(OSError, ValueError, AttributeError):
        imports = json.loads((path / ENVIRONMENT).read_text(encoding="utf-8")).get("imports", {})
        if imports:
            where = ", ".join(f"{name} in {file}" for name, file in imports.items())
            return f"; the run was made with {where}: go there, or put the folder on PYTHONPATH"
    return ""


def _name(settings: Settings) -> str:
    return f"{settings.task}-{file_word(settings.cell)}-{time.strftime('%Y%m%d-%H%M%S')}"
