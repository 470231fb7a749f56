"""What MLflow is asked to do, by a fake in its place; and, where it is installed, what the real one reads back."""

import os
import sys
from types import SimpleNamespace

import pytest

from rnnkit.errors import Ending
from rnnkit.runs import mlflow_log
from rnnkit.runs.mlflow_log import MLflowLog
from rnnkit.training.evaluation import Evaluation

from .logger_records import SETTINGS, record


class FakeMLflow:
    """Takes note of calls, in the place of the package."""

    def __init__(self):
        self.uris, self.experiments, self.params, self.metrics, self.states = [], [], {}, [], []
        self.entities = SimpleNamespace(
            Metric=lambda name, value, time, step: (step, name, value), Param=lambda name, value: (name, value)
        )

    def MlflowClient(self, tracking_uri):  # noqa: N802  (MLflow's name)
        self.uris.append(tracking_uri)
        assert os.environ["MLFLOW_ALLOW_FILE_STORE"] == "true"
        return self

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        self.experiments.append(name)
        return "7"

    def create_run(self, number, run_name):
        return SimpleNamespace(info=SimpleNamespace(run_id=f"{number}-{run_name}"))

    def update_run(self, run, status):
        self.states.append((run, status))

    def log_batch(self, run, metrics=(), params=()):
        self.metrics += [metrics] if metrics else []
        self.params |= dict(params)

    def set_terminated(self, run, status):
        self.states.append((run, status))


@pytest.fixture(autouse=True)
def no_settings_of_whoever_runs_the_tests(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_ALLOW_FILE_STORE"):
        monkeypatch.delenv(name, raising=False)
    for name in mlflow_log.SHORT:
        monkeypatch.setenv(name, "")  # so that what is set here is gone afterwards
        monkeypatch.delenv(name)


@pytest.fixture
def fake(monkeypatch):
    fake = FakeMLflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    return fake


def test_it_writes_into_a_folder_of_the_run(fake, tmp_path):
    with MLflowLog(tmp_path / "run", SETTINGS, "MSE", resumed=False) as logger:
        assert fake.uris == []
        (tmp_path / "run").mkdir()
        logger.write(record(1))
        logger.write(record(2, Evaluation(0.5, 0.25)))
    assert fake.uris == [(tmp_path / "run" / "mlruns").as_uri()]
    assert fake.experiments == ["rnnkit-adding"]
    assert (fake.params["hidden"], fake.params["cell.bias"], fake.params["task"]) == ("7", "False", "adding")
    assert [metric for batch in fake.metrics for metric in batch] == [
        *((1, "loss", 0.5), (1, "MSE", 0.25), (1, "gradient norm", 0.125), (1, "tokens per second", 1600.0)),
        *((2, "loss", 1.0), (2, "MSE", 0.5), (2, "gradient norm", 0.25), (2, "tokens per second", 1600.0)),
        *((2, "validation/loss", 0.5), (2, "validation/MSE", 0.25)),
    ]
    assert fake.states == [("7-run", "FINISHED")]
    assert "MLFLOW_ALLOW_FILE_STORE" not in os.environ
    assert logger.place == f"mlflow: in {tmp_path / 'run' / 'mlruns'}; MLFLOW_TRACKING_URI names another place"


def test_metrics_are_sent_in_batches(fake, tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(mlflow_log.time, "time", lambda: clock[0])
    with MLflowLog(tmp_path, SETTINGS, "MSE", resumed=False) as logger:
        for step in range(1, 6):
            logger.write(record(step))
            clock[0] += 1.0
        assert [len(batch) // 4 for batch in fake.metrics] == [1, 2, 2]
        for step in range(6, 1006):
            logger.write(record(step))
    assert max(map(len, fake.metrics)) <= 1000
    assert [metric[0] for batch in fake.metrics for metric in batch][::4] == list(range(1, 1006))


def test_what_the_environment_says_goes_first(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@here")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    with MLflowLog(tmp_path, SETTINGS, "MSE", resumed=False) as logger:
        logger.write(record(1))
    assert (fake.uris, fake.experiments) == (["http://user:secret@here"], ["mine"])
    assert logger.place == "mlflow: where MLFLOW_TRACKING_URI says"
    assert "secret" not in (tmp_path / "loggers.json").read_text()


def test_a_run_that_goes_on_is_the_same_run_there(fake, tmp_path):
    for resumed in (False, True):
        with MLflowLog(tmp_path, SETTINGS, "MSE", resumed=resumed) as logger:
            logger.write(record(1))
    name = f"7-{tmp_path.name}"
    assert fake.states == [(name, "FINISHED"), (name, "RUNNING"), (name, "FINISHED")]
    assert len(fake.experiments) == 1


@pytest.mark.parametrize(("error", "state"), [(ZeroDivisionError(), "FAILED"), (Ending("interrupted"), "KILLED")])
def test_how_a_run_ended_is_told(fake, tmp_path, error, state):
    logger = MLflowLog(tmp_path, SETTINGS, "MSE", resumed=False)
    logger.write(record(1))
    logger.__exit__(type(error), error, None)
    assert fake.states[-1][1] == state


def test_characters_that_mlflow_refuses_are_replaced(fake, tmp_path):
    with MLflowLog(tmp_path, SETTINGS, "R² (%)", resumed=False) as logger:
        logger.write(record(1))
    assert fake.metrics[0][1][1] == "R_ ___"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of its own
def test_the_real_one_reads_every_scalar_back(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    for steps in ((1, 2), (3,)):
        with MLflowLog(tmp_path, SETTINGS, "bits per character", resumed=steps == (3,)) as logger:
            for step in steps:
                logger.write(record(step))
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = mlflow.MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("rnnkit-adding")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.data.params["hidden"], run.data.params["cell.bias"]) == ("FINISHED", "7", "False")
    history = client.get_metric_history(run.info.run_id, "bits per character")
    assert [(point.step, point.value) for point in history] == [(1, 0.25), (2, 0.5), (3, 0.75)]
