"""What a run keeps of its data, in data.json: names, scales, an alphabet, which later data must not change."""

import hashlib
import json
import logging
import math
import shlex
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from rnnkit.core.task import Task
from rnnkit.errors import CheckpointError, DataError, RnnkitError, UsageError, one_line
from rnnkit.runs.data_copies import check_files, own_copies, with_copies
from rnnkit.runs.settings import Settings
from rnnkit.support.atomic_files import read_file
from rnnkit.support.paths import AnyPath, as_path

DATA = "data.json"
LIMIT = 2**28
"""Bytes; a table of a million columns stays below."""

MISMATCHES = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataRecord:
    """What data.json holds, beside its own sha256."""

    task: str
    """The task's name."""

    summary: str
    """Its `data_summary`, one line."""

    fingerprint: str
    """Of the data: its `fingerprint`."""

    state: dict[str, Any]
    """Its `data_state`."""

    @classmethod
    def of(cls, task: Task) -> "DataRecord":
        """Return what is to be kept of a task's data."""
        return cls(task.name, task.data_summary(), task.fingerprint(), task.data_state())

    def to_json(self) -> bytes:
        """Write as JSON that `read` verifies.

        Raises:
            UsageError: the task's `data_state` is not JSON.
        """
        try:
            values = json.loads(json.dumps(asdict(self), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise UsageError(f"task {self.task!r}: data_state() is not JSON ({one_line(error)})") from None
        return json.dumps({**values, "sha256": _sha256(values)}, indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def read(cls, path: AnyPath) -> "DataRecord | None":
        """Read what the run in folder `path` kept; None: it is of an rnnkit that kept nothing.

        Raises:
            CheckpointError: the file is damaged.
        """
        file = as_path(path) / DATA
        if not file.exists():
            return None
        try:
            values = json.loads(read_file(file, LIMIT), parse_float=_finite, parse_constant=_finite)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{file} is not readable: {error}; put a copy back") from None
        if not isinstance(values, dict) or values.pop("sha256", None) != _sha256(values):
            raise CheckpointError(f"{file} is not what was written (sha256 differs); put a copy back")
        if values.keys() != {field.name for field in fields(cls)} or not isinstance(values["state"], dict):
            raise CheckpointError(f"{file} is not of this version of rnnkit; take the version that wrote it")
        return cls(**values)


def kept_task(path: AnyPath, settings: Settings) -> Task:
    """Build the task of the run in folder `path` from what the run kept of its data; files that are gone are copies.

    Of a run that kept nothing it is built from the data as they are now, and a line says so.

    Raises:
        CheckpointError: data.json is damaged, or is another task's.
        DataError: nothing was kept, and the data are gone or unfit.
    """
    kept = DataRecord.read(path)
    settings = with_copies(path, settings)
    if kept is None:
        task = settings.make_task()
        if task.data_state():
            log.warning(
                "%s has no %s: what task %r takes from its data (scale, columns or alphabet) is computed anew",
                *(path, DATA, task.name),
            )
        return task
    try:
        return settings.make_task(kept.state)
    except RnnkitError:
        raise
    except MISMATCHES as error:
        raise CheckpointError(
            f"{as_path(path) / DATA} does not fit task {settings.task!r} ({one_line(error)}); put a copy back"
        ) from None


def resumed_task(path: AnyPath, settings: Settings) -> Task:
    """Build the task of the run in folder `path`, to go on with it.

    Where files have changed, the run's own copies take their place, and a line says so: it learnt from those.

    Raises:
        CheckpointError: data.json is damaged, or is another task's.
        DataError: the data are gone or unfit, and so are the copies.
    """
    kept, copies = DataRecord.read(path), own_copies(path, settings)
    if kept is None or not copies:
        return kept_task(path, settings)
    task = _task_of(path, settings, kept)
    if task is not None:
        return task
    names = {name: str(copy) for name, copy in copies.items()}
    task = _task_of(path, replace(settings, task_options={**settings.task_options, **names}), kept)
    if task is None:  # the copies are others too: refused as the data of a run that has none
        return kept_task(path, settings)
    log.warning(
        "the data of task %r have changed since %s learnt from them; it goes on with its own copy, %s",
        *(settings.task, path, " and ".join(names.values())),
    )
    return task


def _task_of(path: AnyPath, settings: Settings, kept: DataRecord) -> Task | None:
    """Build a run's task; None if its data are not those of which the run has kept the fingerprint."""
    try:
        task = kept_task(path, settings)
        return task if task.fingerprint() == kept.fingerprint else None
    except (DataError, UsageError):  # rows, columns or sequences are not there any more
        return None


def check_data(path: AnyPath, settings: Settings, task: Task) -> None:
    """Say it if the data of the run in folder `path` are gone and copies are read, or are not what it has learnt from.

    Raises:
        DataError: they are gone, or unfit.
        CheckpointError: a copy is not what was written.
    """
    copies = check_files(path, settings)
    kept = DataRecord.read(path)
    own = own_copies(path, settings)
    ways = " ".join(shlex.join(["--set", f"task.{name}={copy}"]) for name, copy in own.items())
    try:
        if kept is None or kept.fingerprint == task.fingerprint():
            return
    except DataError as error:
        raise DataError(f"{error}; or take the run's own copy with {ways}") if ways else error from None
    if copies:
        raise CheckpointError(f"{' or '.join(map(str, copies))} is not what was written; put a copy back")
    log.warning(
        "the data of task %r have changed since %s learnt from them; they are judged by the scale, columns, "
        "alphabet and rows of then%s",
        *(task.name, path, f"; what it learnt from is judged with {ways}" if ways else ""),
    )


def _sha256(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _finite(word: str) -> float:
    if not math.isfinite(value := float(word)):
        raise ValueError(f"{word} is not a finite number")
    return value
