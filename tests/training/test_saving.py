"""Training.save and resume: a loop around records() goes on from a folder as `rnnkit run --resume` does."""

import itertools
import os

import pytest
import torch

import rnnkit
from rnnkit.errors import CheckpointError, DataError

from ..runs.test_resume import CASES, Flow, make, plain, same_bits

STEPS = 7


@pytest.mark.parametrize("name", ["everything", "nested", "one target"])
def test_a_loop_of_one_s_own_goes_on_to_the_same_bits(name, tmp_path):
    whole = make(CASES[name])
    expected = plain(whole.records())
    first, before = make(CASES[name]), []
    for record in first.records():
        before += plain([record])
        if record.step % 2 == 0:
            first.save(tmp_path / "run")
        if record.step == 5:
            break
    second = make(CASES[name], seed=77)
    torch.rand(3)
    assert second.resume(tmp_path / "run") == 4
    assert before[:4] + plain(second.records()) == expected
    assert same_bits(second, whole)


def test_nothing_yet(tmp_path):
    training = make({})
    assert training.resume(tmp_path / "run") == 0
    assert os.listdir(tmp_path) == []
    assert len(list(training.records())) == STEPS


def test_the_best_is_kept_beside_the_last(tmp_path):
    training = make({"validate_every": 1, "lr": 3.0, "optimizer": "sgd"})
    for _ in training.records():
        training.save(tmp_path)
    best, _ = training.best
    assert best < STEPS - 2, "the case is of another use"
    kept = sorted(os.listdir(tmp_path / "checkpoints"))
    assert kept == [f"step-{step:09d}" for step in (best, STEPS - 1, STEPS)]
    assert rnnkit.load_checkpoint(tmp_path / "checkpoints" / kept[0]).manifest["best"] == best


def test_more_steps_may_be_given(tmp_path):
    whole, first = make({"steps": 9}), make({"steps": 4})
    expected = plain(whole.records())
    list(first.records())
    first.save(tmp_path)
    second = make({"steps": 9})
    assert second.resume(tmp_path) == 4
    assert plain(second.records()) == expected[4:]


def test_the_seed_of_a_finished_one(tmp_path):
    training = make({"steps": 2})
    list(training.records())
    training.save(tmp_path)
    again = make({"steps": 2})
    assert again.resume(tmp_path) == 2
    assert again.done
    assert list(again.records()) == []


class Other(Flow):
    name = "other"

    def fingerprint(self):
        return "other data"


@pytest.mark.parametrize(
    ("case", "kind", "sentence"),
    [
        ({"cell": "lstm"}, CheckpointError, "'layer.bias_hh_l0' has shape (12,), the model's has (16,)"),
        (
            {"optimizer": "sgd"},
            CheckpointError,
            "does not fit this run: it was saved with the optimizer Adam, this one",
        ),
        ({"average": 0.9}, CheckpointError, "was saved with another setting of average"),
        ({"task": Other}, DataError, "the data of task 'other' have changed since"),
    ],
)
def test_one_that_is_built_otherwise(tmp_path, case, kind, sentence):
    training = make({})
    next(training.records())
    training.save(tmp_path)
    with pytest.raises(kind) as caught:
        make(case).resume(tmp_path)
    assert sentence in str(caught.value)
    assert os.listdir(tmp_path / "checkpoints") == ["step-000000001"]


def test_one_that_forgets_to_resume_loses_nothing(tmp_path):
    training = make({})
    for _ in training.records():
        pass
    training.save(tmp_path)
    forgetful = make({})
    next(forgetful.records())
    with pytest.raises(CheckpointError, match=f"holds step {STEPS}, which was not written or taken up here; resume"):
        forgetful.save(tmp_path)
    assert os.listdir(tmp_path / "checkpoints") == [f"step-{STEPS:09d}"]


def test_several_folders(tmp_path):
    training = make({})
    for record in itertools.islice(training.records(), 4):
        training.save(tmp_path / ("even" if record.step % 2 == 0 else "odd"))
    assert make({}).resume(tmp_path / "even") == 4
    assert make({}).resume(tmp_path / "odd") == 3


def test_a_run_of_the_command_line_is_left_alone(cli, tmp_path):
    small = {"task": "adding", "seq-len": 4, "cell": "rnn", "hidden": 2, "unroller": "loop", "steps": 2}
    options = [word for name, value in small.items() for word in (f"--{name}", value)]
    assert cli("run", *options, "--quiet", "--out", tmp_path / "run").exit_code == 0
    task = rnnkit.tasks["adding"](seq_len=4)
    training = rnnkit.Training(rnnkit.Model(task, "rnn", 2, unroller="loop"), task, steps=4)
    with pytest.raises(CheckpointError, match="was written by `rnnkit run`, not by a training; give another folder"):
        training.resume(tmp_path / "run")
    with pytest.raises(CheckpointError, match="holds step 2, which was not written or taken up here"):
        training.save(tmp_path / "run")


@pytest.mark.parametrize("changed", [{"lr": 0.5}, {"seed": 3}, {"weight_decay": 0.5}, {"clip": 0.1}, {"batch_size": 2}])
def test_a_training_that_is_built_otherwise_is_refused(tmp_path, changed):
    def built(**options):
        torch.manual_seed(0)
        task = rnnkit.tasks["adding"](seq_len=5)
        model = rnnkit.Model(task, "gru", hidden_size=3, unroller="loop")
        return rnnkit.Training(model, task, **{"steps": 4, "batch_size": 4, "lr": 1e-2, **options})

    first = built()
    next(iter(first.records()))
    first.save(tmp_path / "kept")
    (name,) = changed
    with pytest.raises(CheckpointError, match=rf"was saved with {name}=.*, this training has .*; build it alike"):
        built(**changed).resume(tmp_path / "kept")
    assert built(steps=9).resume(tmp_path / "kept") == 1
