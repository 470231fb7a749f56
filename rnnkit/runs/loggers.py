"""Loggers of a run: what hands its records to programs that draw them. None of them can end a training."""

import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from rnnkit.errors import RnnkitError, one_line
from rnnkit.runs.logger_record import keep_logger, kept_logger
from rnnkit.support.paths import AnyPath, as_path

if TYPE_CHECKING:
    from rnnkit.runs.settings import Settings
    from rnnkit.training.record import Record

KINDS = ("tensorboard", "wandb", "mlflow")
"""By name of the package, and of the extra that brings it."""

PASSWORD = re.compile(r"://[^/@\s]+@")
"""In an address; it is neither printed nor kept."""

log = logging.getLogger(__name__)


class Logger(AbstractContextManager["Logger"], Protocol):
    """Takes the records of a run, in order; what it holds is closed at the end of the block."""

    def write(self, record: "Record") -> None:
        """Take a record; whatever it raises is told, and it is asked no more."""


class Loggers:
    """Hands records to several loggers. One that fails is told in one line, which is kept with the run, and left out;
    the others go on.

    Args:
        loggers: by name.
        folder: of the run.
    """

    def __init__(self, loggers: Mapping[str, Logger], folder: AnyPath) -> None:
        self._loggers = dict(loggers)
        self._folder = as_path(folder)

    @property
    def places(self) -> list[str]:
        """A sentence for each that says where it writes."""
        return [place for logger in self._loggers.values() if (place := getattr(logger, "place", ""))]

    def write(self, record: "Record") -> None:
        """Hand on a record."""
        for name, logger in list(self._loggers.items()):
            try:
                logger.write(record)
            except Exception as error:
                del self._loggers[name]
                self._tell(name, f"fails at step {record.step}, and gets no more", error)
                with suppress(Exception):  # what is wrong with it has been told
                    logger.__exit__(type(error), error, None)

    def __enter__(self) -> "Loggers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, logger in self._loggers.items():
            try:
                logger.__exit__(kind, error, trace)
            except Exception as fault:
                self._tell(name, "fails at the end", fault)

    def _tell(self, name: str, when: str, error: Exception) -> None:
        fault = str(error) if isinstance(error, RnnkitError) else one_line(error)
        fault = PASSWORD.sub("://", fault)
        log.warning("--log %s %s: %s", name, when, fault)
        with suppress(RnnkitError):  # on a full disk
            keep_logger(self._folder, name, {**kept_logger(self._folder, name), "failed": f"{when}: {fault}"})


def open_loggers(
    names: Iterable[str], folder: AnyPath, settings: "Settings", metric_name: str, *, resumed_at: int | None
) -> Loggers:
    """Return those of these names, for the run in a folder; they make nothing before the first record.

    Args:
        names: of `KINDS`.
        folder: of the run.
        settings: of the run.
        metric_name: what the metric is called (`Task.metric_name`).
        resumed_at: the step of the checkpoint that training goes on from; None: it begins.

    Raises:
        ResourceError: a package is not installed.
    """
    from rnnkit.runs.mlflow_log import MLflowLog
    from rnnkit.runs.tensorboard import TensorBoard
    from rnnkit.runs.wandb_log import WandbLog

    folder = as_path(folder)
    opened: dict[str, Logger] = {}
    for name in dict.fromkeys(names):
        if name == "tensorboard":
            opened[name] = TensorBoard(folder / "tensorboard", metric_name, resumed_at=resumed_at)
        else:
            kind = WandbLog if name == "wandb" else MLflowLog
            opened[name] = kind(folder, settings, metric_name, resumed=resumed_at is not None)
    return Loggers(opened, folder)
