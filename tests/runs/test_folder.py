"""The folder of a run: there whole or not at all, resumed to the byte, written by one process at a time."""

import json
import logging
import os
import subprocess
import sys
from itertools import islice

import pytest
import torch

import rnnkit
from rnnkit.checkpoints.checkpoint import MANIFEST, WEIGHTS, load_checkpoint
from rnnkit.errors import CheckpointError, ResourceError, UsageError
from rnnkit.runs import resume
from rnnkit.runs.folder import RunWriter, open_run, read_settings
from rnnkit.runs.settings import Settings

SMALL = {"cell": "gru", "task": "adding", "unroller": "loop", "hidden": 4, "batch": 2, "lr": 0.1, "seed": 3}
OPTIONS = {"task_options": {"seq_len": 5}}


class Killed(BaseException):
    """The process ends here."""


def settings_of(**more):
    return Settings(**{**SMALL, **OPTIONS, "steps": 8, "save_every": 2, "validate_every": 3, **more})


def training_of(settings):
    task = settings.make_task()
    return settings.make_training(settings.make_model(task), task)


def begin(path, stop=None, **more):
    """Run into a folder, to the end or killed after some updates; returns the training."""
    settings = settings_of(**more)
    training = training_of(settings)
    with RunWriter(path, settings) as folder:
        for _ in islice(folder.recording(training), stop):
            pass
    return training


def go_on(path, stop=None, settings=None):
    """Go on with the run in a folder, as the command line does."""
    settings = settings or read_settings(path)
    training = training_of(settings)
    with RunWriter.resume(path, settings, training) as folder:
        for _ in islice(folder.recording(training), stop):
            pass
    return training


def left(path):
    """Return what is to be the same to the byte however often a run was stopped."""
    names = ["metrics.jsonl", "config.toml", *(f"checkpoints/{name}" for name in os.listdir(path / "checkpoints"))]
    found = {}
    for name in names:
        if (path / name).is_dir():
            checkpoint = load_checkpoint(path / name)
            bits = {key: tensor.view(torch.uint8).tolist() for key, tensor in checkpoint.weights.items()}
            found[name] = bits, (checkpoint.averaged or {}).keys()
        else:
            found[name] = (path / name).read_bytes()
    return found


def steps(path, name="metrics.jsonl"):
    return [json.loads(line)["step"] for line in (path / name).read_text().splitlines()]


def checkpoints(path):
    return sorted(int(name.split("-")[1]) for name in os.listdir(path / "checkpoints"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of a run that was never stopped."""
    path = tmp_path_factory.mktemp("whole") / "run"
    begin(path)
    return path


def test_what_a_run_leaves(whole):
    assert sorted(os.listdir(whole)) == [
        *("checkpoints", "config.toml", "data.json", "env.json", "lock", "metrics.jsonl", "times.jsonl")
    ]
    assert read_settings(whole) == settings_of()
    assert steps(whole) == steps(whole, "times.jsonl") == list(range(1, 9))
    assert json.loads((whole / "env.json").read_text())["torch"] == torch.__version__


@pytest.mark.parametrize("stop", range(1, 9))
def test_a_resumed_run_leaves_the_same_to_the_byte(whole, tmp_path, stop):
    path = tmp_path / "run"
    begin(path, stop)
    assert steps(path) == list(range(1, stop + 1))
    if stop == 8:
        with pytest.raises(UsageError, match="has taken 8 steps; to go on, give more than that with --steps"):
            go_on(path)
    else:
        training = go_on(path)
        assert training.step == 8
    assert left(path) == left(whole)
    assert steps(path, "times.jsonl") == list(range(1, 9))


def test_a_run_may_be_stopped_again_and_again(whole, tmp_path):
    path = tmp_path / "run"
    begin(path, 1)
    for stop in (2, 1, 3, 1, None):
        go_on(path, stop)
    assert left(path) == left(whole)


def test_what_was_recorded_after_the_checkpoint_is_cut_off(tmp_path):
    path = tmp_path / "run"
    begin(path, 5)  # the newest checkpoint is of step 4
    kept = (path / "metrics.jsonl").read_bytes().splitlines(keepends=True)[:4]
    with (path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 6, "lo')
    settings = read_settings(path)
    with RunWriter.resume(path, settings, training_of(settings)):
        pass
    assert (path / "metrics.jsonl").read_bytes() == b"".join(kept)
    assert steps(path, "times.jsonl") == [1, 2, 3, 4]


def test_a_run_without_a_checkpoint_begins_again(whole, tmp_path):
    path = tmp_path / "run"
    begin(path, 1)
    assert checkpoints(path) == []
    go_on(path)
    assert left(path) == left(whole)


def test_checkpoints_are_made_where_they_are_due(tmp_path):
    begin(tmp_path / "run", keep=99, save_every=3, validate_every=0)
    assert checkpoints(tmp_path / "run") == [3, 6, 8]
    begin(tmp_path / "never", keep=99, save_every=0, validate_every=0)
    assert checkpoints(tmp_path / "never") == [8]


def test_the_best_checkpoint_is_made_and_kept(tmp_path):
    path = tmp_path / "run"
    training = begin(path, steps=20, save_every=5, validate_every=1, keep=1, lr=0.5)
    best, metric = training.best
    assert best not in (5, 10, 15, 20)  # so that it was made for being the best
    assert checkpoints(path) == [best, 20]
    settings, task, model = open_run(path, best=True)
    assert rnnkit.evaluate(model, task).metric == pytest.approx(metric)
    assert settings == settings_of(steps=20, save_every=5, validate_every=1, keep=1, lr=0.5)
    _, _, last = open_run(path)
    assert torch.equal(
        last.readout.weight, load_checkpoint(path / "checkpoints/step-000000020").weights["readout.weight"]
    )
    assert not torch.equal(last.readout.weight, model.readout.weight)


def test_the_best_one_where_nothing_was_judged(tmp_path):
    begin(tmp_path / "run", 2, steps=8, save_every=2, validate_every=0)
    open_run(tmp_path / "run")
    with pytest.raises(CheckpointError, match="has not been validated yet"):
        open_run(tmp_path / "run", best=True)


def test_it_is_opened_where_one_wants_it(tmp_path):
    begin(tmp_path / "run", steps=2)
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text().replace('device = "cpu"', 'device = "cuda:99"'))
    with pytest.raises(ResourceError, match="cuda:99"):
        open_run(tmp_path / "run")
    settings, _, model = open_run(tmp_path / "run", device="cpu")
    assert (settings.device, model.readout.weight.device.type) == ("cpu", "cpu")


def test_the_best_one_is_known_after_a_stop(tmp_path):
    path, whole = tmp_path / "run", tmp_path / "whole"
    options = {"steps": 12, "save_every": 3, "validate_every": 1, "keep": 1, "lr": 0.5}
    expected = begin(whole, **options).best
    begin(path, 7, **options)
    assert go_on(path).best == expected
    assert checkpoints(path) == checkpoints(whole)


def test_averaged_weights_are_what_is_opened(tmp_path):
    training = begin(tmp_path / "run", average=0.5)
    _, _, model = open_run(tmp_path / "run")
    for name, tensor in training.eval_model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)
    assert not torch.equal(model.readout.weight, training.model.readout.weight)


def damage(path, step, name=WEIGHTS):
    file = path / "checkpoints" / f"step-{step:09d}" / name
    data = bytearray(file.read_bytes())
    data[-2] ^= 1
    file.write_bytes(data)
    return file


def test_where_the_newest_is_damaged_an_earlier_one_is_gone_on_from(whole, tmp_path, caplog):
    path = tmp_path / "run"
    begin(path, 6)
    assert checkpoints(path) == [3, 4, 6] or checkpoints(path)[-1] == 6
    file = damage(path, 6)
    go_on(path)
    assert [str(file) in message for message in caplog.messages] == [True]
    assert caplog.messages[0].endswith("it is damaged; going on from an earlier checkpoint")
    assert left(path) == left(whole)
    load_checkpoint(path / "checkpoints" / "step-000000008")


def test_a_damaged_checkpoint_is_made_again(tmp_path):
    path = tmp_path / "run"
    begin(path, 6, validate_every=0)
    damage(path, 6)
    go_on(path, stop=2)
    load_checkpoint(path / "checkpoints" / "step-000000006")


def test_where_all_are_damaged_nothing_is_touched(tmp_path):
    path = tmp_path / "run"
    begin(path, 6)
    for step in checkpoints(path):
        damage(path, step)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* is intact"):
        go_on(path)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_more_steps_may_be_taken(tmp_path):
    path = tmp_path / "run"
    begin(path, steps=4)
    go_on(path, settings=settings_of(steps=6))
    assert steps(path) == [1, 2, 3, 4, 5, 6]
    assert read_settings(path).steps == 6


@pytest.mark.parametrize("count", [3, 4])
def test_fewer_steps_than_were_taken_are_refused_and_change_nothing(tmp_path, count):
    path = tmp_path / "run"
    begin(path, 5)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(UsageError, match=f"{path} has taken 4 steps; to go on, give more than that with --steps"):
        go_on(path, settings=settings_of(steps=count))
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_a_run_whose_patience_is_spent(tmp_path):
    path = tmp_path / "run"
    training = begin(path, steps=50, validate_every=1, patience=1, lr=50.0, optimizer="sgd", clip=0.0)
    assert training.step < 50
    assert checkpoints(path)[-1] == training.step
    with pytest.raises(UsageError, match=f"has ended at step {training.step}, where its patience was spent"):
        go_on(path)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    path = tmp_path / "run"
    begin(path, 4)
    with pytest.raises(CheckpointError, match="it was saved from another model"):
        go_on(path, settings=settings_of(hidden=5))
    with pytest.raises(CheckpointError, match="was saved with another setting of average"):
        go_on(path, settings=settings_of(average=0.5))
    with pytest.raises(CheckpointError, match="does not fit this run: it was saved with the optimizer Adam"):
        go_on(path, settings=settings_of(optimizer="sgd"))


def test_metrics_that_are_gone_are_missed(tmp_path):
    path = tmp_path / "run"
    begin(path, 4)
    (path / "metrics.jsonl").write_text("")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl has 0 bytes, fewer than the \d+"):
        go_on(path)


@pytest.mark.parametrize("gone", ["checkpoints", "config.toml", "all"])
def test_a_folder_that_is_not_a_run_s(tmp_path, gone):
    path = tmp_path / "run"
    begin(path, 1)
    if gone == "all":
        path.rename(tmp_path / "elsewhere")
    else:
        (path / gone).rename(tmp_path / gone)
    with pytest.raises(CheckpointError, match=str(path)):
        go_on(path)


@pytest.mark.parametrize("name", ["threads", "torch", "instruction_set", "deterministic", "device"])
def test_a_changed_environment_is_told(tmp_path, monkeypatch, caplog, name):
    path = tmp_path / "run"
    begin(path, 4)
    go_on(path, 2)
    assert caplog.messages == []
    was = resume.environment()[name]
    changed = {**resume.environment(), name: "another"}
    monkeypatch.setattr(resume, "environment", lambda device="cpu": changed)
    go_on(path)
    assert caplog.messages == [f"{name} was {was!r} when the checkpoint was made, now it is 'another'; bits may differ"]
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.slow  # so does tests/reliability/test_writers.py
def test_one_process_at_a_time(tmp_path):
    path, settings = tmp_path / "run", settings_of()
    first = training_of(settings)
    with RunWriter(path, settings) as folder:
        assert len(list(islice(folder.recording(first), 3))) == 3
        with pytest.raises(
            CheckpointError, match=f"{path} is being written by another process; wait for it, or end it"
        ):
            go_on(path)
        before = (path / "metrics.jsonl").read_bytes()
        words = [sys.executable, "-m", "rnnkit", "run", "--resume", str(path), "--quiet"]
        other = subprocess.run(words, capture_output=True, text=True)
        assert (other.returncode, other.stderr.count("\n")) == (5, 1)
        assert "is being written by another process" in other.stderr
        assert (path / "metrics.jsonl").read_bytes() == before
    go_on(path)


def test_a_refused_resume_lets_others_in(tmp_path):
    path = tmp_path / "run"
    begin(path, 4)
    with pytest.raises(CheckpointError):
        go_on(path, settings=settings_of(hidden=5))
    assert go_on(path).step == 8


def test_a_run_that_does_not_begin_leaves_nothing(tmp_path):
    settings = settings_of()
    training = training_of(settings)
    with RunWriter(tmp_path / "deep" / "run", settings) as folder:
        folder.save(training)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mkdir", "write", "fsync", "rename"])
def test_a_folder_that_cannot_be_made_is_not_there(tmp_path, monkeypatch, name):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, name, full)
    with pytest.raises(ResourceError, match=r"/run cannot be made: .*No space left on device"):
        begin(tmp_path / "run", 1)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mkdir", "write", "fsync", "rename"])
def test_a_kill_while_it_is_made_leaves_nothing_of_its_name(tmp_path, monkeypatch, name):
    def killed(*arguments, **options):
        raise Killed

    monkeypatch.setattr(os, name, killed)
    with pytest.raises(Killed):
        begin(tmp_path / "run", 1)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
    begin(tmp_path / "run", 1)  # and the same process may try again
    assert steps(tmp_path / "run") == [1]


def test_what_a_kill_left_is_swept(tmp_path):
    path = tmp_path / "run"
    begin(path, 4)
    (path / ".config.toml.99.partial").write_text("half")
    (path / "checkpoints" / ".step-000000006.99.partial").mkdir()
    go_on(path)
    assert [file for file in path.rglob("*") if file.name.endswith(".partial")] == []


def test_an_existing_folder_is_refused(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    for name in ("link", "folder"):
        with pytest.raises(UsageError, match="exists already; give another folder with --out, or --resume it"):
            RunWriter(tmp_path / name, settings_of())


def test_settings_that_json_lacks_are_saved_too(tmp_path):
    begin(tmp_path / "run", 2, optimizer_options={"eps": float("inf")})
    assert checkpoints(tmp_path / "run") == [2]


def test_the_manifest_tells_what_the_run_is(whole):
    manifest = json.loads((whole / "checkpoints" / "step-000000008" / MANIFEST).read_text())
    assert manifest["step"] == 8
    assert manifest["version"] == rnnkit.__version__
    assert manifest["settings"]["hidden"] == 4
    assert manifest["environment"]["threads"] == 1
    assert manifest["metrics_bytes"] == (whole / "metrics.jsonl").stat().st_size
