"""The folder of a run: config.toml, env.json, metrics.jsonl and checkpoints/."""

import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from rnnkit.checkpoint import environment, load_weights, save_weights, write_atomically
from rnnkit.errors import CheckpointError, ResourceError, UsageError
from rnnkit.model import Model
from rnnkit.settings import Settings
from rnnkit.task import Task
from rnnkit.training import Record

LAST = "last"
METRICS = "metrics.jsonl"


class RunFolder:
    """Writes a run down as it goes; made with the first record, so that a run that cannot begin leaves nothing.

    Args:
        path: where; None: `runs/<task>-<cell>-<time>`. An existing one is never written over.
        settings: what the run is made of.

    Raises:
        UsageError: the folder exists.
    """

    def __init__(self, path: Path | None, settings: Settings) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        cell = re.sub(r"[^\w.-]+", "-", settings.cell).strip("-")
        self.path = path or _free(Path("runs") / f"{settings.task}-{cell}-{stamp}")
        self._settings = settings
        self._metrics: TextIO | None = None
        if os.path.lexists(self.path):
            raise UsageError(f"{self.path} exists already; give another folder with --out")

    def recording(self, records: Iterable[Record]) -> Iterator[Record]:
        """Pass records on, each after it is appended to metrics.jsonl.

        Raises:
            ResourceError: the folder cannot be made, or the disk takes no more.
        """
        for record in records:
            if self._metrics is None:
                self._metrics = self._make()
            try:
                self._metrics.write(json.dumps(as_plain(record)) + "\n")
                self._metrics.flush()
            except OSError as error:
                raise ResourceError(f"{self.path / METRICS} cannot be written: {error.strerror}") from None
            yield record

    def _make(self) -> TextIO:
        try:
            (self.path / "checkpoints").mkdir(parents=True)
            metrics = (self.path / METRICS).open("w", encoding="utf-8")
        except OSError as error:
            raise ResourceError(f"{self.path} cannot be made: {error.strerror}") from None
        write_atomically(self.path / "config.toml", self._settings.to_toml().encode())
        write_atomically(self.path / "env.json", json.dumps(environment(), indent=2).encode() + b"\n")
        return metrics

    def save(self, model: Model, record: Record) -> None:
        """Write the weights."""
        save_weights(model, self.path / "checkpoints" / LAST, {"step": record.step, "environment": environment()})

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._metrics is not None:
            with suppress(OSError):  # what could not be flushed has been reported
                self._metrics.close()


def open_run(path: Path) -> tuple[Settings, Task, Model]:
    """Rebuild what a finished run left: its settings, task and trained model.

    Raises:
        CheckpointError: the folder is not a run's, or its checkpoint is damaged.
    """
    if not path.is_dir():
        raise CheckpointError(f"{path} is not a folder; give the folder of a run, such as runs/chars-lstm-...")
    settings = Settings.read(path / "config.toml")
    task = settings.make_task()
    model = settings.make_model(task)
    load_weights(model, path / "checkpoints" / LAST)
    return settings, task, model


def as_plain(record: Record) -> dict[str, Any]:
    """Give a record as plain values, its validation as a table if it has one."""
    values = asdict(record)
    del values["validation"]
    return values if record.validation is None else {**values, "validation": record.validation._asdict()}


def _free(path: Path) -> Path:
    """Give `path`, or it with a number behind if a run began in the same second."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate
