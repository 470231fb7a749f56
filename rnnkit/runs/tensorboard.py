"""TensorBoard: the records of a training run as scalars that it draws."""

import os
import time
from contextlib import suppress
from types import TracebackType
from typing import Any

from rnnkit.errors import ResourceError
from rnnkit.runs.scalars import Scalars
from rnnkit.support.paths import AnyPath, as_path
from rnnkit.training.record import Record

VERSION = "brain.Event:2"
"""Of the file format; from this one on, a start at a step hides what older files have from there on."""


class TensorBoard:
    """Writes records to an event file in `folder`; each is on its way to the disk when `write` returns.

    The x axis is the step. Scalars: loss, metric, gradient norm, tokens per second since the record before; loss and
    metric of validations under `validation/`. The file is made with the first record, so that a run that cannot begin
    leaves nothing.

    Args:
        folder: of the event file; `tensorboard --logdir` takes it, or a folder above.
        metric_name: what the metric is called (`Task.metric_name`).
        resumed_at: the step of the checkpoint that training goes on from; what earlier files in the folder have after
            it is hidden. None: the run begins here.

    Raises:
        ResourceError: tensorboard is not installed; or, from `write`, the disk or folder takes no more.
    """

    def __init__(self, folder: AnyPath, metric_name: str, *, resumed_at: int | None = None) -> None:
        folder = as_path(folder)
        try:
            import tensorboard  # noqa: F401  (later is too late to find it missing)
        except ModuleNotFoundError:
            fault = "what TensorBoard reads needs the package tensorboard"
            raise ResourceError(f"{fault}; install it with: pip install 'rnnkit[tensorboard]'") from None
        self.folder = folder
        self._scalars = Scalars(metric_name, resumed=resumed_at is not None)
        self._resumed_at = resumed_at
        self._writer: Any = None

    def write(self, record: Record) -> None:
        """Append a record's scalars."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in self._scalars.of(record).items()]
        try:
            if self._writer is None:
                self._begin()
            self._append(step=record.step, summary=Summary(value=values))
        except OSError as error:
            raise ResourceError(f"{self.folder}: no event file can be written there: {error.strerror}") from None

    def _begin(self) -> None:
        """Begin a file; TensorBoard reads those of a folder in the order of their names."""
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():017.6f}.{os.getpid()}"
        self._writer = RecordWriter((self.folder / name).open("xb"))
        self._append(file_version=VERSION)
        if self._resumed_at is not None:
            self._append(step=self._resumed_at + 1, session_log=SessionLog(status=SessionLog.START))

    def _append(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.write(Event(wall_time=time.time(), **fields).SerializeToString())
        self._writer.flush()

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            with suppress(OSError):  # what could not be written has been reported
                self._writer.close()
