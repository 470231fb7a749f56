"""The folder of a race: race.toml, env.json, data.json and trials/, with a result of each training that has ended."""

import json
import logging
import os
import time
from pathlib import Path
from types import TracebackType

import rnnkit
from rnnkit.checkpoints.checkpoint import environment
from rnnkit.checkpoints.lock import LOCK, locked
from rnnkit.core.task import Task
from rnnkit.errors import CheckpointError, ResourceError, UsageError
from rnnkit.racing.settings import CONFIG, RaceSettings
from rnnkit.racing.trial import Result, Trial
from rnnkit.runs.data_record import DATA, DataRecord
from rnnkit.support.atomic_files import read_file, reported, sweep, write_file, write_folder
from rnnkit.support.paths import AnyPath, as_path, free_path

ENVIRONMENT, TRIALS = "env.json", "trials"
LARGEST = 2**26
"""Bytes of a result; one of a million validations stays below."""

log = logging.getLogger(__name__)


class RaceFolder:
    """Writes a race down as it goes. One process at a time.

    Args:
        path: where.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path = as_path(path)
        self._lock: int | None = None

    @classmethod
    def new(cls, path: AnyPath | None, settings: RaceSettings) -> "RaceFolder":
        """Choose where a new race is to be; nothing is made yet.

        Raises:
            UsageError: something is there. ResourceError: nothing can be made there.
        """
        if path is None:
            words = settings.run.task.replace(":", "-")
            return cls(free_path(Path("runs") / f"race-{words}-{time.strftime('%Y%m%d-%H%M%S')}"))
        where = as_path(path)
        if os.path.lexists(where):
            raise UsageError(f"{where} exists already; give another folder with --out, or --resume it")
        parent = next(folder for folder in where.absolute().parents if folder.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise ResourceError(f"{where} cannot be made: {parent} takes no folder; give another one with --out")
        return cls(where)

    def make(self, settings: RaceSettings, task: Task) -> None:
        """Make it, whole or not at all, and keep others out; ResourceError where it cannot be made."""
        about = {"rnnkit": rnnkit.__version__, **environment(settings.run.device), "threads": 1}
        files = {
            CONFIG: settings.to_toml().encode(),
            ENVIRONMENT: json.dumps(about, indent=2).encode() + b"\n",
            DATA: DataRecord.of(task).to_json(),
            LOCK: b"",
        }
        try:
            with reported(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
            write_folder(self.path, files, [TRIALS])
        except ResourceError as error:
            reason = str(error).rpartition(": ")[2]
            raise ResourceError(f"{self.path} cannot be made: {reason}; give another folder with --out") from None
        self._lock = locked(self.path)

    def take_up(self, settings: RaceSettings) -> None:
        """Keep others out, remove what a kill has left, and write down what is given anew."""
        self._lock = locked(self.path)
        sweep(self.path)
        if not (self.path / TRIALS).is_dir():
            raise CheckpointError(f"{self.path / TRIALS} is missing; the folder is not that of a race, or damaged")
        sweep(self.path / TRIALS)
        self.write(CONFIG, settings.to_toml().encode())

    def add(self, result: Result) -> None:
        """Keep a result, whole or not at all."""
        self.write(f"{TRIALS}/{result.name}.json", result.to_json())

    def result(self, trial: Trial) -> Result | None:
        """Return what came of a trial, if it is known; a damaged result is told to the log, and counts as none.

        Raises:
            CheckpointError: it is of other settings.
        """
        path = self.path / TRIALS / f"{trial.name}.json"
        if not path.exists():
            return None
        try:
            return Result.read(read_file(path, LARGEST), trial)
        except CheckpointError as error:
            if "of other settings" in str(error):
                raise CheckpointError(f"{path} {error} than the race; take it away, or race anew") from None
            log.warning("%s is damaged; this training is done again", path)
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the folder, over one that may be there."""
        write_file(self.path / name, data)

    def close(self) -> None:
        """Let others in."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> "RaceFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
