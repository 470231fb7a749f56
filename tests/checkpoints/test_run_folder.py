"""RunFolder: a loop of one's own is saved whole, found again to the bit, and never mixed with another's."""

import errno
import logging
import math
import os
import random
import re
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import rnnkit
from rnnkit.errors import CheckpointError, KindError, ResourceError, UsageError
from rnnkit.support.random_states import RandomStates

STEPS = 6


def parts(seed=0, width=3):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.Dropout(0.4), nn.Linear(width, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    return {
        "model": model,
        "optimizer": optimizer,
        "schedule": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS),
        "plateau": torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer),
        "own": torch.Generator().manual_seed(seed),
    }


def update(model, optimizer, schedule, plateau, own):
    xs = torch.randn(4, 2) * random.random() + float(np.random.rand()) + torch.rand((), generator=own)
    optimizer.zero_grad()
    loss = model(xs).square().mean()
    loss.backward()
    optimizer.step()
    schedule.step()
    plateau.step(loss.item())
    return loss.item()


def seeded():
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)


def bits(pieces):
    return [tensor.clone() for tensor in pieces["model"].state_dict().values()]


@pytest.mark.parametrize("stop", [1, 4])
def test_a_loop_goes_on_to_the_same_bits(tmp_path, stop):
    whole = parts()
    seeded()
    expected = [update(**whole) for _ in range(STEPS)]
    first = parts()
    seeded()
    losses = [update(**first) for _ in range(stop)]
    rnnkit.RunFolder(tmp_path / "run").save(stop, **first, losses=losses, best=(stop, math.inf), note=None)
    second = parts(seed=9)
    torch.rand(5), np.random.rand(5), random.random()
    found = rnnkit.RunFolder(tmp_path / "run").resume(**second)
    assert found == {"step": stop, "losses": losses, "best": (stop, math.inf), "note": None}
    losses = found["losses"] + [update(**second) for _ in range(stop, STEPS)]
    assert losses == expected
    assert all(map(torch.equal, bits(second), bits(whole)))


def test_nothing_yet(tmp_path):
    folder = rnnkit.RunFolder(tmp_path / "deep" / "run")
    assert folder.resume(**parts()) is None
    assert folder.steps == []
    assert repr(folder) == f"<RunFolder {tmp_path / 'deep' / 'run'}: nothing saved yet>"
    assert os.listdir(tmp_path) == []


def test_what_is_kept(tmp_path):
    folder = rnnkit.RunFolder(tmp_path / "run", keep=3)
    for step in (0, 10, 20, 35, 40):
        folder.save(step, at=step)
    assert folder.steps == [20, 35, 40]
    assert folder.path == tmp_path / "run"
    assert repr(folder) == f"<RunFolder {tmp_path / 'run'}: step 40>"
    assert sorted(os.listdir(tmp_path / "run")) == ["checkpoints", "lock"]


def test_the_weights_are_a_file_of_their_own(tmp_path):
    given = parts()
    rnnkit.RunFolder(tmp_path).save(7, **given)  # a folder that is there
    weights = safetensors.torch.load_file(tmp_path / "checkpoints" / "step-000000007" / "model.safetensors")
    other = parts(seed=3)["model"]
    other.load_state_dict(weights)
    assert all(map(torch.equal, other.state_dict().values(), given["model"].state_dict().values()))


def test_a_mask_of_infinities_is_a_state_too(tmp_path):
    model = nn.Linear(1, 1)
    model.register_buffer("mask", torch.full((2,), -math.inf))
    folder = rnnkit.RunFolder(tmp_path)
    folder.save(1, model=model)
    model.mask.zero_()
    folder.resume(model=model)
    assert model.mask.tolist() == [-math.inf] * 2


def test_a_damaged_one_is_passed_over_and_said(tmp_path, caplog):
    folder = rnnkit.RunFolder(tmp_path)
    for step in (1, 2):
        folder.save(step, at=torch.tensor(step))
    file = tmp_path / "checkpoints" / "step-000000002" / "training.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    (tmp_path / "checkpoints" / ".step-000000003.1.partial").mkdir()
    caplog.set_level(logging.WARNING, "rnnkit")
    folder = rnnkit.RunFolder(tmp_path)
    assert folder.resume()["at"] == 1
    (said,) = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(rf"{file} is not what .*; it is damaged; going on from an earlier checkpoint", said)
    assert os.listdir(tmp_path / "checkpoints") == ["step-000000001"]
    folder.save(2, at=torch.tensor(5))
    assert rnnkit.RunFolder(tmp_path).resume()["at"] == 5


def test_what_a_killed_process_left_goes_with_the_next_save(tmp_path):
    """Also where nothing could be resumed yet."""
    (tmp_path / "checkpoints" / ".step-000000001.1.partial").mkdir(parents=True)
    rnnkit.RunFolder(tmp_path).save(1)
    assert os.listdir(tmp_path / "checkpoints") == ["step-000000001"]


def test_other_threads_are_told(tmp_path, caplog):
    folder = rnnkit.RunFolder(tmp_path)
    folder.save(1)
    caplog.set_level(logging.WARNING, "rnnkit")
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        folder.resume()
    finally:
        torch.set_num_threads(before)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"threads was {before} when ")
    assert said.endswith(f"now it is {before + 1}; bits may differ")


def test_a_step_that_is_there_stays_and_that_is_said(tmp_path, caplog):
    folder = rnnkit.RunFolder(tmp_path)
    folder.save(1, at="first")
    caplog.set_level(logging.WARNING, "rnnkit")
    folder.save(1, at="second")
    assert caplog.records[0].getMessage() == f"{tmp_path} holds step 1 already, which stays as it is"
    assert folder.resume()["at"] == "first"


def test_steps_go_up(tmp_path):
    folder = rnnkit.RunFolder(tmp_path)
    folder.save(5)
    with pytest.raises(UsageError, match=r"^step 4 comes after step 5 in .*; give steps in their order$"):
        folder.save(4)
    assert folder.steps == [5]


def test_a_loop_that_forgets_to_resume_loses_nothing(tmp_path):
    rnnkit.RunFolder(tmp_path).save(900, at=1)
    with pytest.raises(CheckpointError, match=r"holds step 900, which was not written or taken up here; resume"):
        rnnkit.RunFolder(tmp_path).save(1, at=2)
    assert rnnkit.RunFolder(tmp_path).resume()["at"] == 1


def test_two_loops_in_one_folder(tmp_path):
    one, other = rnnkit.RunFolder(tmp_path), rnnkit.RunFolder(tmp_path)
    one.save(1)
    other.resume()
    one.save(2, whose="one")
    with pytest.raises(CheckpointError, match="holds step 2, which was not written or taken up here"):
        other.save(2, whose="other")
    assert rnnkit.RunFolder(tmp_path).resume()["whose"] == "one"


REFUSED = {
    "a set": ({"seen": {1, 2}}, "'seen' cannot be saved: seen is of type set, which a checkpoint does not hold; give"),
    "an array": ({"at": [np.ones(2)]}, "'at' cannot be saved: at.0 is of type ndarray, which a checkpoint does not"),
    "a loader": (
        {"loader": torch.utils.data.DataLoader([1])},
        "'loader' cannot be saved: loader is of type DataLoader, which a checkpoint does not hold; give what has",
    ),
    "the step": ({"step": 3}, "a state cannot be called 'step', which is what the loop's place is called; rename it"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_saved(tmp_path, kind):
    state, sentence = REFUSED[kind]
    with pytest.raises(UsageError) as caught:
        rnnkit.RunFolder(tmp_path / "run").save(1, **state)
    assert str(caught.value).startswith(sentence)
    assert os.listdir(tmp_path) == []


def test_long_lists(tmp_path, monkeypatch):
    """More than is read again must not be written."""
    monkeypatch.setattr("rnnkit.checkpoints.checkpoint.MANIFEST_LIMIT", 20_000)
    folder = rnnkit.RunFolder(tmp_path)
    folder.save(1)
    with pytest.raises(UsageError, match=r"take [\d,]+ bytes, more than 20,000; keep long lists as tensors"):
        folder.save(2, losses=[0.5] * 10_000)
    assert folder.steps == [1]


def other_model():
    return {**parts(), "model": nn.Linear(2, 2)}


def other_optimizer():
    given = parts()
    return {**given, "optimizer": torch.optim.SGD(given["model"].parameters(), lr=0.1)}


def other_groups():
    given = parts()
    return {**given, "optimizer": torch.optim.AdamW(list(given["model"].parameters())[:2])}


def one_less():
    return {name: value for name, value in parts().items() if name != "own"}


MISFITS = {
    other_model: "the checkpoint has '0.bias', the model lacks it; it was saved from another model",
    other_optimizer: "'optimizer' was saved from a AdamW, this is a SGD",
    other_groups: "'optimizer' does not take what was saved (ValueError: loaded state dict contains a parameter group",
    one_less: "holds 'own', which is not given; give resume() what was given to save()",
    lambda: {**parts(), "more": nn.Linear(1, 1)}: "holds no 'more', which is given; give resume() what was given",
}


@pytest.mark.parametrize("build", MISFITS, ids=["model", "optimizer", "groups", "one less", "one more"])
def test_what_does_not_fit(tmp_path, build):
    given = parts()
    update(**given)
    rnnkit.RunFolder(tmp_path).save(1, **given)
    with pytest.raises(CheckpointError) as caught:
        rnnkit.RunFolder(tmp_path).resume(**build())
    assert MISFITS[build] in str(caught.value)
    assert "step-000000001" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "training",
    [
        {},
        5,
        {"objects": {}, "values": {}, "random": {}},
        {"objects": {"own": 3}, "values": {}, "random": RandomStates.now().plain()},
        {"objects": {}, "values": {}, "random": {**RandomStates.now().plain(), "cpu": torch.zeros(3)}},
        {"objects": {}, "values": {}, "random": {**RandomStates.now().plain(), "python": (3, torch.zeros(3), None)}},
    ],
)
def test_what_is_no_state_of_a_loop(tmp_path, training):
    (tmp_path / "checkpoints").mkdir()
    about = {"step": 1, "kind": "loop"}
    rnnkit.save_checkpoint(tmp_path / "checkpoints" / "step-000000001", {}, training, about)
    with pytest.raises(CheckpointError, match=r"step-000000001 holds no state of a loop \(.*\); put a copy back$"):
        rnnkit.RunFolder(tmp_path).resume()


def test_plain_values_are_not_loaded_into(tmp_path):
    with pytest.raises(UsageError, match=r"^'best' is a float, which nothing can be loaded into; it is in what resume"):
        rnnkit.RunFolder(tmp_path).resume(best=0.5)


def test_what_somebody_else_has_written(tmp_path):
    task = rnnkit.tasks["adding"](seq_len=4)
    training = rnnkit.Training(rnnkit.Model(task, "rnn", 2, unroller="loop"), task, steps=2)
    next(training.records())
    training.save(tmp_path / "trained")
    with pytest.raises(CheckpointError, match="was written by a training, not by a loop; give another folder"):
        rnnkit.RunFolder(tmp_path / "trained").resume()
    rnnkit.RunFolder(tmp_path / "mine").save(1)
    with pytest.raises(CheckpointError, match="was written by a loop, not by a training; give another folder"):
        training.resume(tmp_path / "mine")


def test_no_folder_can_be_made(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(ResourceError, match=r"cannot be written: (Not a directory|File exists)$"):
            rnnkit.RunFolder(path).save(1)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    folder = rnnkit.RunFolder(tmp_path)
    folder.save(1, at=1)

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(ResourceError, match=r"step-000000002 cannot be written: No space left on device"):
            folder.save(2, at=2)
    folder.save(2, at=2)
    assert folder.steps == [1, 2]
    assert folder.resume()["at"] == 2


@pytest.mark.parametrize("keep", [0, 1.5, "2", True])
def test_how_many_are_kept(tmp_path, keep):
    with pytest.raises(UsageError, match=r"^keep is .*; it must be a whole number >= 1$"):
        rnnkit.RunFolder(tmp_path, keep=keep)


@pytest.mark.parametrize("step", [-1, 1.0, None])
def test_a_step_that_is_none(tmp_path, step):
    with pytest.raises(UsageError, match=r"^step is .*; it must be a whole number >= 0$"):
        rnnkit.RunFolder(tmp_path / "run").save(step)


def test_a_path_that_is_none():
    with pytest.raises(KindError, match="the path is None"):
        rnnkit.RunFolder(None)


def test_a_folder_may_be_moved(tmp_path):
    rnnkit.RunFolder(tmp_path / "run").save(3, at=1)
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    assert rnnkit.RunFolder(tmp_path / "elsewhere").resume() == {"step": 3, "at": 1}
