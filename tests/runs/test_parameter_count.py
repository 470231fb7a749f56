"""How many parameters a run has: as it wrote down, or as its checkpoint has."""

import json

import pytest

from rnnkit.runs.folder import RunWriter
from rnnkit.runs.parameter_count import parameter_count
from rnnkit.runs.settings import Settings

SMALL = Settings(task="adding", steps=1, hidden=4, batch=2, task_options={"seq_len": 5}, unroller="loop")
BY_HAND = 4 * 4 * (2 + 4 + 2) + (4 + 1)
"""Of an LSTM with two inputs and four units, and its readout."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    task = SMALL.make_task()
    training = SMALL.make_training(SMALL.make_model(task), task)
    with RunWriter(tmp_path_factory.mktemp("run") / "run", SMALL) as folder:
        for _ in folder.recording(training):
            pass
    return folder.path


def test_a_run_writes_down_how_many_it_has(run):
    assert json.loads((run / "env.json").read_text())["parameters"] == BY_HAND
    assert parameter_count(run) == BY_HAND


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"parameters": "many"}', '{"parameters": true}', None])
def test_otherwise_its_checkpoint_is_counted(run, text):
    kept = (run / "env.json").read_text()
    try:
        (run / "env.json").unlink() if text is None else (run / "env.json").write_text(text)
        assert parameter_count(run) == BY_HAND
    finally:
        (run / "env.json").write_text(kept)


def test_without_either_it_is_not_known(past_run, tmp_path):
    assert parameter_count(past_run("new")) is None
    assert parameter_count(tmp_path / "nowhere") is None
    damaged = past_run("damaged")
    (damaged / "checkpoints" / "step-000000001").mkdir()
    assert parameter_count(damaged) is None
    (damaged / "checkpoints" / "step-000000001" / "model.safetensors").write_bytes(b"nonsense")
    assert parameter_count(damaged) is None
