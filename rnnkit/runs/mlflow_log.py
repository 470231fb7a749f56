"""MLflow: the records of a training run as its metrics."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rnnkit.errors import Ending, ResourceError
from rnnkit.runs.logger_record import keep_logger, kept_logger
from rnnkit.runs.scalars import Scalars
from rnnkit.support.paths import AnyPath, as_path, file_word

if TYPE_CHECKING:
    from rnnkit.runs.settings import Settings
    from rnnkit.training.record import Record

NAME = "mlflow"
EVERY, MOST = 2.0, 900
"""Metrics are sent after so many seconds, or when there are so many; MLflow takes 1,000 at once."""

SHORT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""How long a server that does not answer holds training up; its own defaults are minutes."""


class MLflowLog:
    """Hands records to MLflow, as the scalars that TensorBoard has; settings are its parameters.

    Into the folder `mlruns` of the run, unless MLFLOW_TRACKING_URI says otherwise. It begins with the first record, and
    writes every two seconds and at the end. A run that goes on is the same run there.

    Args:
        folder: of the run.
        settings: of the run.
        metric_name: what the metric is called (`Task.metric_name`); characters that MLflow refuses become `_`.
        resumed: whether training goes on from a checkpoint.

    Raises:
        ResourceError: mlflow is not installed. From `write`, whatever MLflow raises.
    """

    def __init__(self, folder: AnyPath, settings: "Settings", metric_name: str, *, resumed: bool) -> None:
        try:
            import mlflow
        except ModuleNotFoundError:
            raise ResourceError("--log mlflow needs the package mlflow; pip install 'rnnkit[mlflow]'") from None
        self._mlflow = mlflow
        self.folder = as_path(folder)
        self._settings = settings
        self._scalars = Scalars(re.sub(r"[^\w\-. /]", "_", metric_name, flags=re.ASCII), resumed=resumed)
        self._client: Any = None
        self._id = ""
        self._waiting: list[Any] = []
        self._sent = 0.0

    @property
    def place(self) -> str:
        """Where it writes, in a sentence."""
        if os.environ.get("MLFLOW_TRACKING_URI"):
            return "mlflow: where MLFLOW_TRACKING_URI says"
        return f"mlflow: in {self.folder / 'mlruns'}; MLFLOW_TRACKING_URI names another place"

    def write(self, record: "Record") -> None:
        """Take the scalars of a record, and send what is due."""
        if self._client is None:
            self._begin()
        now = time.time()
        scalars = self._scalars.of(record)
        self._waiting += [
            self._mlflow.entities.Metric(name, value, int(1000 * now), record.step) for name, value in scalars.items()
        ]
        if now - self._sent >= EVERY or len(self._waiting) >= MOST:
            self._send()

    def _send(self) -> None:
        self._client.log_batch(self._id, metrics=self._waiting)
        self._waiting, self._sent = [], time.time()

    def _begin(self) -> None:
        for name, value in SHORT.items():
            os.environ.setdefault(name, value)
        with _files_allowed():
            uri = os.environ.get("MLFLOW_TRACKING_URI") or (self.folder / "mlruns").resolve().as_uri()
            self._client = self._mlflow.MlflowClient(tracking_uri=uri)
        self._id = kept_logger(self.folder, NAME).get("run", "")
        if self._id:
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = self._new_run()
            keep_logger(self.folder, NAME, {"run": self._id})

    def _new_run(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or f"rnnkit-{file_word(self._settings.task)}"
        experiment = self._client.get_experiment_by_name(name)
        number = self._client.create_experiment(name) if experiment is None else experiment.experiment_id
        run = self._client.create_run(number, run_name=self.folder.resolve().name)
        values = _flat(asdict(self._settings))
        params = [self._mlflow.entities.Param(name, str(value)) for name, value in values.items()]
        self._client.log_batch(run.info.run_id, params=params)
        return str(run.info.run_id)

    def __enter__(self) -> "MLflowLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is None:
            return
        self._send()
        ended = "FINISHED" if kind is None else "KILLED" if issubclass(kind, Ending) else "FAILED"
        self._client.set_terminated(self._id, ended)


@contextmanager
def _files_allowed() -> Iterator[None]:
    """Let MLflow use a folder, which later versions refuse unless they are told."""
    name = "MLFLOW_ALLOW_FILE_STORE"
    before = os.environ.get(name)
    os.environ[name] = before or "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        table = value if isinstance(value, dict) else None
        flat |= (
            {name: value} if table is None else {f"{name.removesuffix('_options')}.{k}": v for k, v in table.items()}
        )
    return flat
