"""Whatever takes a path takes a string, a Path and anything with `__fspath__`, and does the same with each."""

import inspect
import os
import pkgutil
import re
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.benchmark import plot
from rnnkit.checkpoints import checkpoint
from rnnkit.checkpoints.checkpoint_store import CheckpointStore
from rnnkit.checkpoints.lock import locked
from rnnkit.checkpoints.own_folder import OwnFolder, check_of_run
from rnnkit.errors import KindError, RnnkitError, UsageError
from rnnkit.export.file import check_free, read_format
from rnnkit.export.onnx import Onnx
from rnnkit.export.pt2 import Pt2
from rnnkit.matrix.folder import MatrixFolder
from rnnkit.plugin.new_plugin import NewPlugin, write_plugin
from rnnkit.pytest_plugin.package import cells_of_package
from rnnkit.racing.entry import prepared
from rnnkit.racing.equal_cost import Size
from rnnkit.racing.folder import RaceFolder
from rnnkit.racing.plan import Plan
from rnnkit.racing.result import RaceResult
from rnnkit.racing.settings import RaceSettings, composed
from rnnkit.racing.trial import Result as RaceTrialResult
from rnnkit.runs import folder, history
from rnnkit.runs.calibration_record import keep_calibration, kept_calibration
from rnnkit.runs.comparison import compare
from rnnkit.runs.comparison_plot import draw
from rnnkit.runs.data_copies import check_files, keep_copies, own_copies, with_copies
from rnnkit.runs.data_record import DataRecord, check_data, kept_task, resumed_task
from rnnkit.runs.export_description import describe_run
from rnnkit.runs.folder import RunWriter, open_run
from rnnkit.runs.inspection_log import InspectionLog, read_inspections
from rnnkit.runs.loading import TrainedRun
from rnnkit.runs.log import RunLog, bytes_until
from rnnkit.runs.logger_record import keep_logger, kept_logger
from rnnkit.runs.loggers import Loggers, open_loggers
from rnnkit.runs.mlflow_log import MLflowLog
from rnnkit.runs.parameter_count import parameter_count
from rnnkit.runs.resume import check_unfinished
from rnnkit.runs.settings import Settings
from rnnkit.runs.tensorboard import TensorBoard
from rnnkit.runs.wandb_log import WandbLog
from rnnkit.support import atomic_files, figures, toml
from rnnkit.support.own_files import check_not_own
from rnnkit.support.paths import as_path, free_path
from rnnkit.training.record import Record
from rnnkit.training.saving import folder_of

from ..slow_cases import slow_but

SMALL = Settings(task="adding", steps=2, hidden=4, batch=2, save_every=1, task_options={"seq_len": 5})
SIZE = "1x2x3x4"
RACE = composed({"cells": ("lstm", "gru"), "rates": (0.01,), "seeds": 1}, ("a test", {"task": "adding"}))


class Named:
    """A path that is neither a string nor a Path."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)


def training(settings=SMALL):
    task = settings.make_task()
    return settings.make_training(settings.make_model(task), task)


def train(settings=SMALL, path=None, resume=None):
    trained = training(settings)
    with RunWriter(path, settings) if resume is None else RunWriter.resume(resume, settings, trained) as folder:
        for _ in folder.recording(trained):
            pass
    return folder.path.name


def layer():
    torch.manual_seed(0)
    return rnnkit.RNN("gru", 2, 3)


def written(path):
    rnnkit.export_model(layer(), "layer.pt2")
    return Pt2().load(path)(torch.ones(2, 1, 2))[0]


def judged(path):
    _, task, model = open_run(path)
    return rnnkit.evaluate(model, task, task.validation())


def logged(path):
    with TensorBoard(path, "MSE") as board:
        board.write(Record(1, 0.5, 0.5, 1.0, 10, 0.1, 0.01))
    return len(list(Path(path).iterdir()))


def closed(opened):
    opened.close()
    return sorted(os.listdir("log"))


def ratio_picture(path):
    ratios = {"loop": SimpleNamespace(median=2.0, low=1.9, high=2.1)}
    plot.draw([SimpleNamespace(rivals=ratios, cell="lstm", unroller="loop", size=SIZE, training=True)], path)
    return Path(path).stat().st_size > 0


def figure():
    from matplotlib.figure import Figure

    return Figure()


def race_of_nobody():
    plan = Plan(RACE, [Size(cell, 4, 10, 10, 0.0) for cell in RACE.cells], higher_is_better=False)
    for trial in list(plan.due()):
        result = RaceTrialResult.of(trial)
        result.outcome = "killed"
        plan.add(result)
    return plan


NOBODY = race_of_nobody()
FORECAST = rnnkit.Forecast(
    index={"row": ["1"]},
    targets=("a",),
    values=np.ones((1, 1)),
    lower=np.zeros((1, 1)),
    upper=np.ones((1, 1)),
    actual=np.ones((1, 1)),
    interval=0.9,
    resolution=[0.1],
)
STEP = "run/checkpoints/step-000000002"
CALLS = {
    "rnnkit.core.prediction.Prediction.to_csv": ("new.csv", lambda path: FORECAST.to_csv(path)),
    "rnnkit.runs.calibration_record.kept_calibration": ("run", lambda path: kept_calibration(path, layer())),
    "rnnkit.runs.calibration_record.keep_calibration": (
        "run",
        lambda path: keep_calibration(path, SMALL.make_task(), layer()),
    ),
    "rnnkit.runs.loading.TrainedRun": ("run", lambda path: repr(TrainedRun(path, SMALL, SMALL.make_task(), None))),
    "rnnkit.runs.loading.load": ("run", lambda path: repr(rnnkit.load(path))),
    "rnnkit.benchmark.plot.draw": ("ratios.png", ratio_picture),
    "rnnkit.checkpoints.checkpoint.load_checkpoint": (
        STEP,
        lambda path: checkpoint.load_checkpoint(path).manifest["step"],
    ),
    "rnnkit.checkpoints.checkpoint.read_manifest": (STEP, checkpoint.read_manifest),
    "rnnkit.checkpoints.checkpoint.restore": ("file", lambda path: checkpoint.restore(layer(), {}, path)),
    "rnnkit.checkpoints.checkpoint.save_checkpoint": ("new", lambda path: checkpoint.save_checkpoint(path, {}, {}, {})),
    "rnnkit.checkpoints.checkpoint_store.CheckpointStore": (
        "run/checkpoints",
        lambda path: CheckpointStore(path).steps(),
    ),
    "rnnkit.checkpoints.lock.locked": ("run", lambda path: os.close(locked(path))),
    "rnnkit.checkpoints.own_folder.check_of_run": ("run", check_of_run),
    "rnnkit.checkpoints.own_folder.OwnFolder": ("own", lambda path: OwnFolder(path).steps()),
    "rnnkit.checkpoints.run_folder.RunFolder": ("own", lambda path: rnnkit.RunFolder(path).resume()),
    "rnnkit.training.saving.folder_of": ("own", lambda path: folder_of({}, path).steps()),
    "rnnkit.training.training.Training.save": ("new", lambda path: training().save(path)),
    "rnnkit.training.training.Training.resume": ("nothing", lambda path: training().resume(path)),
    "rnnkit.runs.comparison.compare": ("run", lambda path: [run.last for run in compare([path, path])[0].runs]),
    "rnnkit.runs.comparison_plot.draw": ("curves.svg", lambda path: draw(compare(["run"])[0], path)),
    "rnnkit.runs.data_copies.check_files": ("run", lambda path: check_files(path, SMALL)),
    "rnnkit.runs.data_copies.keep_copies": ("run", lambda path: keep_copies(path, SMALL)),
    "rnnkit.runs.data_copies.own_copies": ("run", lambda path: own_copies(path, SMALL)),
    "rnnkit.runs.data_copies.with_copies": ("run", lambda path: with_copies(path, SMALL)),
    "rnnkit.runs.data_record.check_data": ("run", lambda path: check_data(path, SMALL, SMALL.make_task())),
    "rnnkit.runs.data_record.DataRecord.read": ("run", lambda path: DataRecord.read(path).task),
    "rnnkit.runs.data_record.resumed_task": ("run", lambda path: resumed_task(path, SMALL).name),
    "rnnkit.runs.data_record.kept_task": ("run", lambda path: kept_task(path, SMALL).name),
    "rnnkit.support.atomic_files.read_file": ("run/env.json", lambda path: atomic_files.read_file(path, 10_000)),
    "rnnkit.support.atomic_files.remove_folder": ("log", atomic_files.remove_folder),
    "rnnkit.support.atomic_files.reported": ("log", lambda path: atomic_files.reported(path).__enter__()),
    "rnnkit.support.atomic_files.sweep": ("log", atomic_files.sweep),
    "rnnkit.support.atomic_files.sync_folder": ("log", atomic_files.sync_folder),
    "rnnkit.support.atomic_files.tried_file": (
        "new.txt",
        lambda path: atomic_files.tried_file(path, b"data").__enter__().read_bytes(),
    ),
    "rnnkit.support.atomic_files.unreadable": (
        "log",
        lambda path: str(atomic_files.unreadable(path, OSError(2, "gone"))),
    ),
    "rnnkit.support.atomic_files.write_file": ("new.txt", lambda path: atomic_files.write_file(path, b"data")),
    "rnnkit.support.atomic_files.write_folder": ("new", lambda path: atomic_files.write_folder(path, {"a": b"b"})),
    "rnnkit.export.file.check_free": ("model.pt2", check_free),
    "rnnkit.export.file.export_model": ("x.pt2", lambda path: rnnkit.export_model(layer(), path).difference < 1e-4),
    "rnnkit.export.file.read_format": ("x.onnx", lambda path: read_format(None, path).name),
    "rnnkit.export.onnx.Onnx.read_about": ("nothing.onnx", lambda path: Onnx().read_about(path)),
    "rnnkit.export.pt2.Pt2.read_about": ("nothing.pt2", lambda path: Pt2().read_about(path)),
    "rnnkit.export.reading.read_exported": ("nothing.pt2", rnnkit.read_exported),
    "rnnkit.runs.export_description.describe_run": ("run", lambda path: describe_run(path, SMALL, SMALL.make_task())),
    "rnnkit.runs.loading.TrainedRun.export": ("x.pt2", lambda path: rnnkit.load("run").export(path).difference < 1e-4),
    "rnnkit.export.onnx.Onnx.load": ("nothing.onnx", lambda path: Onnx().load(path)),
    "rnnkit.export.pt2.Pt2.load": ("layer.pt2", written),
    "rnnkit.support.figures.check_plot": ("x.docx", figures.check_plot),
    "rnnkit.support.figures.save": ("x.png", lambda path: figures.save(figure(), path)),
    "rnnkit.plugin.new_plugin.write_plugin": ("new", lambda path: write_plugin(NewPlugin("rnnkit-mine", "mine"), path)),
    "rnnkit.pytest_plugin.package.cells_of_package": ("run", cells_of_package),
    "rnnkit.runs.resume.check_unfinished": (
        "run",
        lambda path: check_unfinished(SimpleNamespace(step=2, steps=2, done=True), path),
    ),
    "rnnkit.matrix.folder.MatrixFolder": ("matrix", lambda path: closed(MatrixFolder(path))),
    "rnnkit.racing.entry.prepared": ("run", lambda path: prepared({}, [], resume=path)),
    "rnnkit.racing.entry.race": ("run", lambda path: rnnkit.race(["lstm", "gru"], out=path)),
    "rnnkit.racing.folder.RaceFolder": ("race", lambda path: RaceFolder(path).path.name),
    "rnnkit.racing.folder.RaceFolder.new": ("race", lambda path: RaceFolder.new(path, RACE).path.name),
    "rnnkit.racing.standings.Standings": ("race", lambda path: RaceResult(NOBODY, SMALL.make_task(), path).folder.name),
    "rnnkit.racing.settings.RaceSettings.read": ("run", RaceSettings.read),
    "rnnkit.support.own_files.check_not_own": ("new", check_not_own),
    "rnnkit.support.paths.free_path": ("run", lambda path: free_path(path).name),
    "rnnkit.runs.folder.RunWriter": ("another", lambda path: train(path=path)),
    "rnnkit.runs.folder.RunWriter.resume": ("run", lambda path: train(replace(SMALL, steps=3), resume=path)),
    "rnnkit.runs.folder.open_run": ("run", judged),
    "rnnkit.runs.folder.read_settings": ("run", folder.read_settings),
    "rnnkit.runs.history.read_history": ("run", lambda path: history.read_history(path).loss.tolist()),
    "rnnkit.runs.inspection_log.InspectionLog": (
        "run",
        lambda path: InspectionLog(path, SMALL.make_task(), 0)._path.name,
    ),
    "rnnkit.runs.inspection_log.read_inspections": ("run", read_inspections),
    "rnnkit.runs.log.bytes_until": ("run/metrics.jsonl", lambda path: bytes_until(path, 1)),
    "rnnkit.runs.log.RunLog": ("log", lambda path: closed(RunLog(path))),
    "rnnkit.runs.logger_record.keep_logger": ("run", lambda path: keep_logger(path, "one", {"id": "a"})),
    "rnnkit.runs.logger_record.kept_logger": ("run", lambda path: kept_logger(path, "one")),
    "rnnkit.runs.loggers.Loggers": ("run", lambda path: str(Loggers({}, path)._folder)),
    "rnnkit.runs.loggers.open_loggers": (
        "run",
        lambda path: str(
            open_loggers(["tensorboard"], path, SMALL, "MSE", resumed_at=1)._loggers["tensorboard"].folder
        ),
    ),
    "rnnkit.runs.mlflow_log.MLflowLog": ("run", lambda path: str(MLflowLog(path, SMALL, "MSE", resumed=False).folder)),
    "rnnkit.runs.parameter_count.parameter_count": ("run", parameter_count),
    "rnnkit.runs.settings.Settings.of_run": ("run", Settings.of_run),
    "rnnkit.runs.settings.Settings.read": ("run/config.toml", Settings.read),
    "rnnkit.runs.tensorboard.TensorBoard": ("board", logged),
    "rnnkit.runs.wandb_log.WandbLog": ("run", lambda path: str(WandbLog(path, SMALL, "MSE", resumed=False).folder)),
    "rnnkit.support.toml.read_toml": ("run/config.toml", toml.read_toml),
}
ELSEWHERE = {
    "rnnkit.core.prediction.Predictor.predict",
    "rnnkit.export.format.Format.load",
    "rnnkit.export.format.Format.read_about",
    "rnnkit.runs.calibration_record.keep_calibrations",
    "rnnkit.runs.loading.TrainedRun.predict",
    "rnnkit.support.paths.as_path",
}
"""What is abstract, or tested with all the others."""


def functions():
    """Yield every public function and method of the package that has an annotation, by its dotted name."""
    for found in pkgutil.walk_packages(rnnkit.__path__, "rnnkit."):
        if ".cli" in found.name or "__main__" in found.name:
            continue
        module = import_module(found.name)
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != found.name:
                continue
            if inspect.isclass(value):
                for method, function in vars(value).items():
                    function = getattr(function, "__func__", function)
                    if inspect.isfunction(function) and (method == "__init__" or not method.startswith("_")):
                        yield f"{found.name}.{name}{'' if method == '__init__' else '.' + method}", function
            elif inspect.isfunction(inspect.unwrap(value)):
                yield f"{found.name}.{name}", inspect.unwrap(value)


def test_every_function_that_takes_a_path_is_known_here():
    taking = {}
    for name, function in functions():
        kinds = {k: str(kind) for k, kind in function.__annotations__.items() if k != "return" and "Path" in str(kind)}
        if kinds:
            taking[name] = kinds
    assert [(name, kinds) for name, kinds in taking.items() if re.search(r"\bPath\b", str(kinds))] == []
    assert taking.keys() == CALLS.keys() | ELSEWHERE


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Train a small run, once."""
    folder = tmp_path_factory.mktemp("paths")
    train(path=folder / "run")
    rnnkit.RunFolder(folder / "own").save(1, at=2)
    (folder / "log").mkdir()
    for name in ("metrics.jsonl", "times.jsonl"):
        (folder / "log" / name).touch()
    return folder


def outcome(call, path):
    try:
        result = call(path)
    except RnnkitError as error:
        return type(error), str(error)
    except Exception as error:  # of a library's own, of a file that is not there
        return type(error)
    return result


@pytest.mark.parametrize("name", slow_but(list(CALLS)[::2], CALLS))
def test_each_kind_of_path_does_the_same(finished, tmp_path, monkeypatch, name):
    path, call = CALLS[name]
    outcomes = []
    for kind in (str, Path, Named):
        copied = shutil.copytree(finished, tmp_path / kind.__name__)
        monkeypatch.chdir(copied)
        found = outcome(call, kind(path))
        left = sorted(str(file) for file in Path().rglob("*") if "tfevents" not in file.name)
        outcomes.append((found, left))
    (first, files), *others = outcomes
    assert first not in (AttributeError, TypeError)
    for found, left in others:
        assert left == files
        assert torch.equal(found, first) if isinstance(first, torch.Tensor) else found == first


@pytest.mark.parametrize("path", [None, 3, b"runs/x", 1.5, ["runs/x"], True])
def test_what_is_no_path_is_refused(path):
    for call in (as_path, open_run, history.read_history):
        with pytest.raises(KindError, match=r"^the path is .*; it must be a string or a Path$"):
            call(path)


def test_an_empty_path_is_no_folder():
    with pytest.raises(UsageError, match="the path is empty"):
        open_run("")


@pytest.mark.parametrize("name", ["csv", "chars"])
def test_a_task_s_file_that_is_no_path(name):
    kind = rnnkit.tasks[name]
    (option,) = kind.files
    for value in (5, True, ["a"], 0.5):
        sentence = re.escape(f"task {name!r}: {option} is {value!r}; it must be a string or a Path")
        with pytest.raises(KindError, match=f"^{sentence}$"):
            kind(**{option: value})
        with pytest.raises(KindError, match=f"^{sentence}$"):
            Settings(task=name, task_options={option: value}).make_task()
    with pytest.raises(UsageError, match=f"^task {name!r}: {option} is empty; name a file"):
        kind(**{option: ""})
