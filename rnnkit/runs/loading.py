"""A finished run, opened to be used: its model, its task and what it predicts."""

from collections.abc import Mapping
from typing import Any

from rnnkit.core.prediction import Prediction, Predictor
from rnnkit.core.task import Task
from rnnkit.errors import CheckpointError, DataError, RnnkitError, UsageError, check_flag, one_line
from rnnkit.export import Exported, export_model
from rnnkit.layers.model import Model
from rnnkit.runs.calibration_record import CALIBRATION, REMEDY, keep_calibration, kept_calibration
from rnnkit.runs.data_copies import check_files
from rnnkit.runs.data_record import MISMATCHES, DataRecord, check_data
from rnnkit.runs.export_description import describe_run
from rnnkit.runs.folder import open_run
from rnnkit.runs.settings import Settings
from rnnkit.support.paths import AnyPath, as_path


class TrainedRun:
    """What `rnnkit.load` returns."""

    def __init__(self, path: AnyPath, settings: Settings, task: Task, model: Model) -> None:
        self.path = as_path(path)
        """The folder of the run."""
        self.settings = settings
        """What the run is made of."""
        self.task = task
        """With the scale, columns or alphabet that the run kept, whatever its data are now."""
        self.model = model
        """Trained, in evaluation mode: maps (T, B, D) inputs, or (T, B) symbols, to outputs (T, B, O) and a state."""

    def __repr__(self) -> str:
        """Return the folder, and what was trained on what."""
        return f"<TrainedRun {self.path}: {self.settings.cell} on {self.task.name}>"

    def predict(
        self,
        data: AnyPath | None = None,
        *,
        interval: float = 0.9,
        season: int | None = None,
        origins: str = "blocks",
    ) -> Prediction:
        """Return what `rnnkit predict` writes: of a table, forecasts with its own dates and units, for every target; of
        texts and sequences, labels with their probabilities.

        Args:
            data: a file or folder, read as the run read its own; None: the part of the run's own data that is kept for
                a test.
            interval: of forecasts: share of the truth that lies between the bounds, from 0 to 1.
            season: of forecasts: rows of a season, which the naive one repeats; None: as the data suggest.
            origins: of forecasts several steps ahead, from which rows: "blocks", so that each row is forecast once;
                "every" row; or the "last" one alone.

        Raises:
            UsageError: the task has nothing to predict, or an option makes no sense.
            DataError: the data are missing, unreadable, too short or unfit.
            CheckpointError: what the run kept for predictions is damaged.
        """
        predictor = self.predictor()
        if data is None:
            check_data(self.path, self.settings, self.task)
        return predictor.predict(
            data if data is None else as_path(data), interval=interval, season=season, origins=origins
        )

    def export(
        self, path: AnyPath, *, format: str | None = None, step: bool = False, state: bool = False, raw: bool = False
    ) -> Exported:
        """Write what `rnnkit export` writes: the model as one file that needs no rnnkit.

        Where the task has units, as a table has, the file takes raw numbers and gives numbers in the data's own units.
        Beside what `rnnkit.export_model` says in it, it holds task, data, cell and settings; `rnnkit.read_exported`
        reads that. The data that the run learnt from may be gone.

        Args:
            path: of the file; an existing one is never written over.
            format: "pt2" or "onnx"; None: as the path ends, pt2 where it has no ending.
            step: a file that takes one step, and the state.
            state: a file for sequences that come in pieces: it takes the state before the first step too.
            raw: the network alone, which takes and gives numbers as the task brings them to it, such as normalised
                ones.

        Raises:
            UsageError, ResourceError, CheckError: as `rnnkit.export_model`.
            CheckpointError: what the run kept of its data is damaged.
        """
        check_flag("raw", raw)
        return export_model(
            self.model,
            path,
            format=format,
            step=step,
            state=state,
            units=None if raw else self.task.units(),
            about=describe_run(self.path, self.settings, self.task),
        )

    def predictor(self) -> Predictor:
        """Return what predicts, with all that the run has kept for it, or that can be measured on its data now.

        Raises:
            UsageError: the task has nothing to predict.
            CheckpointError: what the run kept is damaged.
        """
        if self.task.predictor(self.model, {}) is None:
            raise UsageError(
                f"{self.path} is a run of task {self.task.name!r}, which has nothing to predict; see `rnnkit eval`"
            )
        try:
            predictor = self.task.predictor(self.model, self._calibration())
        except RnnkitError:
            raise
        except MISMATCHES as error:
            raise CheckpointError(
                f"{self.path / CALIBRATION} does not fit task {self.task.name!r} ({one_line(error)}); {REMEDY}"
            ) from None
        assert predictor is not None
        return predictor

    def _calibration(self) -> dict[str, Any]:
        """Return what was kept of this model; else what can be measured on the data that it was validated on."""
        kept = kept_calibration(self.path, self.model)
        if kept is not None:
            return kept
        record = DataRecord.read(self.path)
        try:
            check_files(self.path, self.settings)
            if record is not None and record.fingerprint != self.task.fingerprint():
                return {}
            return keep_calibration(self.path, self.task, self.model)
        except DataError:  # gone: predictions do without, and say so
            return {}


def load(
    run: AnyPath, best: bool = False, *, device: str | None = None, files: Mapping[str, Any] | None = None
) -> TrainedRun:
    """Open a finished run, to use what was trained.

        run = rnnkit.load("runs/demand", best=True)
        forecast = run.predict("new.csv")
        forecast.to_csv("forecast.csv")

    The task has what the run kept of its data, so the data may be gone: they are read where they are asked for alone.

    Args:
        run: the folder of the run.
        best: take the model as it was at its best validation, not at its end.
        device: where to; None: where it was trained.
        files: where the task's files lie now, by option: {"file": "moved.csv"}.

    Raises:
        UsageError: `files` names an option that is no file.
        CheckpointError: the folder is not a run's, or it has no intact checkpoint, or not that of the best validation.
        ResourceError: the device is not here.
    """
    settings, task, model = open_run(run, best=best, device=device, files=files)
    return TrainedRun(run, settings, task, model.eval())
