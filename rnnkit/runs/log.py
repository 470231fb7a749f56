"""The log of a run: a line of JSON for each update.

`metrics.jsonl` has what the updates did, the same to the byte however often the run was stopped and resumed;
`times.jsonl` has how long they took.
"""

import errno
import json
import math
import os
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from rnnkit.errors import CheckpointError
from rnnkit.support.atomic_files import reported
from rnnkit.support.paths import AnyPath, as_path
from rnnkit.training.record import Record

METRICS, TIMES = "metrics.jsonl", "times.jsonl"


class RunLog:
    """Appends to the two files of a run's folder.

    Args:
        folder: the run's.
        metrics_bytes: how much of the metrics is kept, the rest is cut off; None: all.
        step: the last of which the time is kept.

    Raises:
        CheckpointError: the metrics are shorter than that.
        ResourceError: the disk or folder takes no more.
    """

    def __init__(self, folder: AnyPath, metrics_bytes: int = 0, step: int = 0) -> None:
        folder = as_path(folder)
        self._metrics_path, self._times_path = folder / METRICS, folder / TIMES
        with ExitStack() as opened:  # closed again where something is refused
            self._metrics = opened.enter_context(_opened(self._metrics_path))
            self._times = opened.enter_context(_opened(self._times_path))
            self._cut_metrics(metrics_bytes)
            self._cut_times(step)
            opened.pop_all()

    def append(self, record: Record) -> None:
        """Write a record down.

        Raises:
            ResourceError: the disk takes no more.
        """
        values = as_plain(record)
        times = {"step": record.step, "seconds": values.pop("seconds")}
        _append(self._metrics, values, self._metrics_path)
        _append(self._times, times, self._times_path)

    def sync(self) -> int:
        """Have all on disk; returns the size of the metrics in bytes."""
        with reported(self._metrics_path):
            os.fsync(self._metrics.fileno())
            os.fsync(self._times.fileno())
        return self._metrics.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Close the files."""
        for file in (self._metrics, self._times):
            with suppress(OSError):  # what could not be written has been reported
                file.close()

    def _cut_metrics(self, size: int) -> None:
        length = self._metrics.seek(0, os.SEEK_END)
        if length < size:
            raise CheckpointError(
                f"{self._metrics_path} has {length} bytes, fewer than the {size} when the checkpoint was made; "
                "restore the file"
            )
        with reported(self._metrics_path):
            self._metrics.truncate(size)

    def _cut_times(self, step: int) -> None:
        """Cut off the times of later steps, and a line that was not finished."""
        with reported(self._times_path):
            self._times.truncate(bytes_until(self._times_path, step))


def bytes_until(path: AnyPath, step: int) -> int:
    """Return how many bytes the lines of JSON up to a step take, up to one that is later, cut off or damaged."""
    kept = 0
    with as_path(path).open("rb") as lines:  # buffered
        for line in lines:
            try:
                if not line.endswith(b"\n") or json.loads(line)["step"] > step:
                    break
            except (ValueError, KeyError, TypeError):
                break
            kept += len(line)
    return kept


def as_plain(record: Record) -> dict[str, Any]:
    """Return a record as plain values, its validation as a table if it has one; figures that JSON lacks become None.

    Where no update was left out, nothing is said of it.
    """
    values = asdict(record)
    del values["validation"]
    if not record.skipped:
        del values["skipped"]
    values = _finite(values)
    return values if record.validation is None else {**values, "validation": _finite(record.validation._asdict())}


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value if math.isfinite(value) else None for key, value in values.items()}


def _opened(path: Path) -> BinaryIO:
    with reported(path):
        return path.open("ab", buffering=0)


def _append(file: BinaryIO, values: dict[str, Any], path: Path) -> None:
    line = json.dumps(values).encode() + b"\n"
    with reported(path):
        if file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
