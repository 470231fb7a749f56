"""rnnkit.load: a finished run, opened to be used; and what it has kept for predictions."""

import json
import math

import pytest
import torch

import rnnkit
from rnnkit.errors import CheckpointError, DataError, ResourceError, UsageError
from rnnkit.runs import calibration_record
from rnnkit.runs.calibration_record import CALIBRATION, weights_digest
from rnnkit.runs.folder import RunWriter, open_run
from rnnkit.runs.settings import Settings

OPTIONS = {"target": "a", "window": 4, "horizon": 2}
SMALL = {"cell": "gru", "unroller": "loop", "hidden": 4, "batch": 4, "steps": 3, "seed": 1}


def train(folder, task="csv", **more):
    settings = Settings(task=task, **{**SMALL, **more})
    built = settings.make_task()
    with RunWriter(folder, settings) as kept:
        for _ in kept.recording(settings.make_training(settings.make_model(built), built)):
            pass
    return folder


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "table.csv"
    rows = [f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00,{math.sin(k / 4):.4f},{k * k % 11}" for k in range(200)]
    path.write_text("time,a,b\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def run(tmp_path, file):
    return train(tmp_path / "run", task_options={**OPTIONS, "file": str(file)}, keep_data=0)


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
def test_a_run_is_opened(run, kind):
    loaded = rnnkit.load(kind(run))
    settings, task, model = open_run(run)
    assert loaded.path == run
    assert loaded.settings == settings
    assert loaded.task.data_state() == task.data_state()
    assert not loaded.model.training
    assert all(torch.equal(a, b) for a, b in zip(loaded.model.parameters(), model.parameters(), strict=True))


def test_predictions_are_those_of_the_task(run, file):
    loaded = rnnkit.load(run)
    expected = loaded.task.predictor(loaded.model, loaded.task.calibration(loaded.model)).predict()
    assert loaded.predict().to_csv() == expected.to_csv()
    assert loaded.predict(interval=0.5, season=3).errors != expected.errors
    assert loaded.predict(str(file)).to_csv() == loaded.predict(file).to_csv()
    assert len(loaded.predict(file).values) == 200 - 4 + 2


def test_what_was_measured_is_kept_as_training_ends(run, file):
    before = rnnkit.load(run).predict(file)
    kept = json.loads((run / CALIBRATION).read_text())["of"]
    assert list(kept) == [weights_digest(rnnkit.load(run).model)]
    table = file.rename(file.with_name("moved.csv"))
    assert rnnkit.load(run).predict(table).to_csv() == before.to_csv()
    assert rnnkit.load(run, files={"file": str(table)}).predict().errors


def test_the_best_model_has_its_own(tmp_path, file):
    options = {**OPTIONS, "file": str(file), "level": "mean"}
    run = train(tmp_path / "run", task_options=options, lr=0.5, steps=9, validate_every=1)
    file.unlink()
    best, last = (rnnkit.load(run, best=best) for best in (True, False))
    digests = [weights_digest(loaded.model) for loaded in (best, last)]
    assert digests[0] != digests[1]
    assert sorted(json.loads((run / CALIBRATION).read_text())["of"]) == sorted(digests)
    assert best.predictor().calibration.residuals is not None


def test_of_a_run_that_was_stopped_it_is_measured_when_it_is_first_asked_for(tmp_path, file, run):
    expected = rnnkit.load(run).predict().to_csv()
    kept = (run / CALIBRATION).read_bytes()
    (run / CALIBRATION).unlink()
    assert rnnkit.load(run).predict().to_csv() == expected
    assert (run / CALIBRATION).read_bytes() == kept


@pytest.mark.parametrize("change", ["gone", "others"])
def test_it_is_not_measured_on_other_data(run, file, tmp_path, change):
    (run / CALIBRATION).unlink()
    new = tmp_path / "new.csv"
    new.write_text(file.read_text())
    if change == "gone":
        file.unlink()
    else:
        file.write_text(file.read_text().replace(",0.", ",1."))
    prediction = rnnkit.load(run).predict(new)
    why = "no interval: the run has not kept its residuals, and its table has changed or is not at hand; give it back"
    assert any(note.startswith(why) for note in prediction.notes)
    assert not (run / CALIBRATION).exists()


def test_a_folder_that_takes_nothing_is_no_fault(run, monkeypatch):
    def full(*_):
        raise ResourceError("full")

    expected = rnnkit.load(run).predict().to_csv()
    (run / CALIBRATION).unlink()
    monkeypatch.setattr("rnnkit.runs.calibration_record.write_file", full)
    assert rnnkit.load(run).predict().to_csv() == expected


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"of": {}, "sha256": "0"}', b'{"of": 3}'])
def test_a_damaged_file_is_refused(run, damage):
    (run / CALIBRATION).write_bytes(damage)
    with pytest.raises(CheckpointError, match=r"calibration.json is not .*; put a copy back, or remove it: it is"):
        rnnkit.load(run).predict()


def test_one_that_does_not_fit_is_refused(run):
    calibration_record._write(run, {weights_digest(rnnkit.load(run).model): {"ridge": 3}})
    with pytest.raises(CheckpointError, match=r"calibration.json does not fit task 'csv' \(ValueError: it has no"):
        rnnkit.load(run).predict()


def test_a_run_with_nothing_to_predict(tmp_path):
    run = train(tmp_path / "run", task="adding", task_options={"seq_len": 5})
    assert not (run / CALIBRATION).exists()
    with pytest.raises(UsageError, match="is a run of task 'adding', which has nothing to predict; see `rnnkit eval`"):
        rnnkit.load(run).predict()


def test_without_a_table_it_says_where_to_give_it(run, file):
    file.unlink()
    with pytest.raises(DataError, match=r"table.csv, the data of .*run, is gone; say where it is now with --set"):
        rnnkit.load(run).predict()


def test_what_is_no_run(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere is not a folder"):
        rnnkit.load(tmp_path / "nowhere")


def test_the_folder_of_a_loop_is_no_run(tmp_path):
    rnnkit.RunFolder(tmp_path / "mine").save(1, model=torch.nn.Linear(1, 1))
    with pytest.raises(CheckpointError, match=r"mine was written by a loop, not by `rnnkit run`; go on from it by"):
        rnnkit.load(tmp_path / "mine")
