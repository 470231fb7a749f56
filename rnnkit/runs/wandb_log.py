"""Weights & Biases: the records of a training run as what it draws."""

import os
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rnnkit.errors import ResourceError
from rnnkit.runs.logger_record import keep_logger, kept_logger
from rnnkit.runs.scalars import Scalars
from rnnkit.support.paths import AnyPath, as_path, file_word

if TYPE_CHECKING:
    from rnnkit.runs.settings import Settings
    from rnnkit.training.record import Record

NAME = "wandb"
PATIENCE = "30"
"""Seconds that it may take to begin where it is online and WANDB_INIT_TIMEOUT does not say."""


class WandbLog:
    """Hands records to wandb, as the scalars that TensorBoard has; settings are its config.

    Offline, in the folder `wandb` of the run, unless WANDB_MODE says otherwise: nothing leaves the machine until
    `wandb sync` is asked to. It begins with the first record. A run that goes on is the same run there: updates that
    are computed again have the same figures, and wandb keeps those that it has.

    Args:
        folder: of the run.
        settings: of the run.
        metric_name: what the metric is called (`Task.metric_name`).
        resumed: whether training goes on from a checkpoint.

    Raises:
        ResourceError: wandb is not installed. From `write`, whatever wandb raises.
    """

    def __init__(self, folder: AnyPath, settings: "Settings", metric_name: str, *, resumed: bool) -> None:
        if not os.environ.get("WANDB_MODE"):
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read at the import; offline is offline
        try:
            import wandb
        except ModuleNotFoundError:
            raise ResourceError("--log wandb needs the package wandb; pip install 'rnnkit[wandb]'") from None
        self._wandb = wandb
        self.folder = as_path(folder)
        self._settings = settings
        self._scalars = Scalars(metric_name, resumed=resumed)
        self._run: Any = None

    @property
    def place(self) -> str:
        """Where it writes, and what is done for the user, in a sentence."""
        if mode := os.environ.get("WANDB_MODE"):
            return f"wandb: {mode}, as WANDB_MODE says"
        where = self.folder / "wandb"
        return f"wandb: offline, in {where}; `wandb sync {where}/offline-run-*` sends it, WANDB_MODE=online at once"

    def write(self, record: "Record") -> None:
        """Hand on the scalars of a record."""
        if self._run is None:
            self._run = self._begun()
        self._run.log(self._scalars.of(record), step=record.step)

    def _begun(self) -> Any:
        os.environ.setdefault("WANDB_INIT_TIMEOUT", PATIENCE)
        run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT") or f"rnnkit-{file_word(self._settings.task)}",
            name=self.folder.resolve().name,
            id=kept_logger(self.folder, NAME).get("id"),
            resume="allow",
            dir=os.environ.get("WANDB_DIR") or str(self.folder),
            mode=None if os.environ.get("WANDB_MODE") else "offline",
            config=asdict(self._settings),
            settings=self._wandb.Settings(silent=True, console="off"),
        )
        keep_logger(self.folder, NAME, {"id": run.id})
        return run

    def __enter__(self) -> "WandbLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._run is not None:
            self._run.finish(exit_code=0 if kind is None else 1)
