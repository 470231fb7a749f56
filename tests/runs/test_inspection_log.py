"""Inspections during training: they change nothing, survive a kill, and are read again."""

import json
from itertools import islice

import pytest

from rnnkit.inspection import gate_activity, gradient_flow
from rnnkit.inspection.over_training import Snapshot, over_training
from rnnkit.runs.folder import RunWriter, open_run, read_settings
from rnnkit.runs.inspection_log import INSPECTIONS, inspection_batch, read_inspections
from rnnkit.runs.log import METRICS
from rnnkit.runs.settings import Settings

SMALL = {"cell": "gru", "task": "adding", "unroller": "loop", "hidden": 4, "batch": 2, "lr": 0.1, "seed": 3}


def settings_of(**more):
    return Settings(**{**SMALL, "task_options": {"seq_len": 8}, "steps": 8, "save_every": 3, **more})


def train(path, stop=None, **more):
    settings = settings_of(**more)
    task = settings.make_task()
    training = settings.make_training(settings.make_model(task), task)
    with RunWriter(path, settings) as folder:
        for _ in islice(folder.recording(training), stop):
            pass


def go_on(path):
    settings = read_settings(path)
    task = settings.make_task()
    training = settings.make_training(settings.make_model(task), task)
    with RunWriter.resume(path, settings, training) as folder:
        for _ in folder.recording(training):
            pass


def test_training_is_the_same_to_the_bit(tmp_path):
    train(tmp_path / "with", inspect_every=2)
    train(tmp_path / "without")
    assert (tmp_path / "with" / METRICS).read_bytes() == (tmp_path / "without" / METRICS).read_bytes()
    assert not (tmp_path / "without" / INSPECTIONS).exists()
    assert [snapshot.step for snapshot in read_inspections(tmp_path / "with")] == [2, 4, 6, 8]
    assert read_inspections(tmp_path / "without") == []


def test_it_is_what_the_functions_say_of_the_model(tmp_path):
    train(tmp_path / "run", inspect_every=4)
    settings, task, model = open_run(tmp_path / "run")
    batch = inspection_batch(task, settings.seed)
    expected = Snapshot.of(8, gradient_flow(model, task=task, batch=batch), gate_activity(model, batch.xs))
    last = read_inspections(tmp_path / "run")[-1]
    assert last == expected
    assert set(last.closed) == {"r", "z", "n"}
    assert last.left["1"] == 1.0


@pytest.mark.parametrize("line", [b'{"step": 6, "le', b'{"step": 4}'], ids=["cut", "without its end"])
@pytest.mark.parametrize("stop", [4, 5, 7])
def test_killed_and_resumed_it_is_the_same_file(tmp_path, stop, line):
    train(tmp_path / "whole", inspect_every=2)
    train(tmp_path / "cut", stop, inspect_every=2)
    with (tmp_path / "cut" / INSPECTIONS).open("ab") as file:
        file.write(line)  # as a kill in mid-write leaves it
    go_on(tmp_path / "cut")
    assert (tmp_path / "cut" / INSPECTIONS).read_bytes() == (tmp_path / "whole" / INSPECTIONS).read_bytes()


@pytest.mark.parametrize("line", ["{}", "[]", "nonsense", '{"step": "x", "left": {}, "half_life": 1, "closed": {}}'])
def test_a_damaged_line_is_named_and_passed_over(tmp_path, line, caplog):
    train(tmp_path / "run", inspect_every=4)
    path = tmp_path / "run" / INSPECTIONS
    path.write_text(f"{path.read_text()}{line}\n")
    assert [snapshot.step for snapshot in read_inspections(tmp_path / "run")] == [4, 8]
    assert f"{INSPECTIONS}: line 3 is damaged, and is passed over" in caplog.text


def test_what_it_shows(tmp_path):
    train(tmp_path / "run", inspect_every=2)
    snapshots = read_inspections(tmp_path / "run")
    flow, gates = over_training("gru on adding", snapshots)
    assert flow.steps.tolist() == [2, 4, 6, 8]
    assert flow.left["4"].tolist() == [snapshot.left["4"] for snapshot in snapshots]
    assert gates.saturated["z"][0] == snapshots[0].closed["z"] + snapshots[0].open["z"]
    for one in (flow, gates):
        assert json.loads(json.dumps(one.to_json()))["reading"] == one.reading
        assert "<svg" in one._repr_html_()
    assert over_training("gru", snapshots[:1]) == []


def test_a_gradient_that_is_not_finite_is_kept_as_such():
    snapshot = Snapshot(1, {"1": None}, None, {}, {})
    assert Snapshot.from_json(json.loads(json.dumps(snapshot._asdict()))) == snapshot
    (flow,) = over_training("lstm", [snapshot, snapshot._replace(step=2)])
    assert "unknown" in flow.reading
    assert "not finite" in flow.advice
