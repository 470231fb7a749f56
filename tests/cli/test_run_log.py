"""`rnnkit run --log`: to several loggers, and to none that fails."""

import sys

import pytest

from rnnkit.errors import ResourceError
from rnnkit.runs.tensorboard import TensorBoard

ADDING = ("--task", "adding", "--unroller", "loop")


@pytest.fixture(autouse=True)
def event_files():
    pytest.importorskip("tensorboard")


@pytest.mark.parametrize(
    "words", [("--tensorboard",), ("--log", "tensorboard"), ("--tensorboard", "--log", "tensorboard")]
)
def test_tensorboard_s_file_is_in_the_run_s_folder(train, tmp_path, words):
    result = train(*ADDING, *words)
    assert (result.exit_code, result.stderr) == (0, "")
    (path,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert path.name.startswith("events.out.tfevents.")


def test_a_logger_that_fails_is_one_line_and_training_goes_on(train, tmp_path, monkeypatch):
    write = TensorBoard.write

    def fail_later(board, record):
        if record.step > 1:
            raise ResourceError(f"{board.folder}: no event file can be written there: No space left on device")
        write(board, record)

    monkeypatch.setattr(TensorBoard, "write", fail_later)
    result = train(*ADDING, "--log", "tensorboard")
    assert result.exit_code == 0
    folder = tmp_path / "run" / "tensorboard"
    assert result.stderr == (
        f"rnnkit: --log tensorboard fails at step 2, and gets no more: {folder}: no event file can be written there: "
        "No space left on device\n"
    )
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 3


def test_a_folder_that_takes_nothing_costs_one_line(train, tmp_path, monkeypatch):
    def in_the_way(board, record):
        board.folder.write_text("a file")
        monkeypatch.undo()
        board.write(record)

    monkeypatch.setattr(TensorBoard, "write", in_the_way)
    result = train(*ADDING, "--log", "tensorboard")
    assert result.exit_code == 0
    assert result.stderr.count("\n") == 1
    assert "fails at step 1, and gets no more" in result.stderr


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_what_is_not_installed_is_said_before_anything_begins(train, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    result = train(*ADDING, "--log", name)
    assert result.exit_code == 8
    assert result.stderr == f"rnnkit: --log {name} needs the package {name}; pip install 'rnnkit[{name}]'\n"
    assert not (tmp_path / "run").exists()


def test_an_unknown_one_is_refused(train, tmp_path):
    result = train(*ADDING, "--log", "tensorbord")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


class FakeLog:
    """A logger in the place of MLflow's, which need not be installed."""

    place = "mlflow: in a folder"

    def __init__(self, folder, settings, metric_name, *, resumed):
        self.steps = 0

    def write(self, record):
        self.steps += 1

    def __exit__(self, kind, error, trace):
        assert (kind, self.steps) == (None, 3)


def test_where_it_goes_is_said_with_quiet_and_json_too(train, monkeypatch, lines):
    monkeypatch.setattr("rnnkit.runs.mlflow_log.MLflowLog", FakeLog)
    result = train(*ADDING, "--log", "mlflow", "--json")
    assert result.stderr == "mlflow: in a folder\n"
    assert {"event": "log", "summary": "mlflow: in a folder"} in lines(result.stdout)
