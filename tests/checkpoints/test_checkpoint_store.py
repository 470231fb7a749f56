"""The last checkpoints and the best are kept; what is damaged is passed over, and said."""

import os
import shutil

import pytest
import torch

from rnnkit.checkpoints.checkpoint import MANIFEST, TRAINING, WEIGHTS
from rnnkit.checkpoints.checkpoint_store import CheckpointStore
from rnnkit.errors import CheckpointError, ResourceError


@pytest.fixture
def store(tmp_path):
    """Return an empty store that keeps two."""
    return CheckpointStore(tmp_path, keep=2)


def save(store, *steps, best=None):
    for step in steps:
        store.save(step, {"weight": torch.full((3,), float(step))}, {"at": step}, {"word": "x"}, best=best)


def damage(store, step, name=WEIGHTS):
    path = store.path(step) / name
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)


def newest(store):
    found, damaged = store.newest()
    return found.manifest["step"], len(damaged)


def test_nothing_yet(store):
    assert store.steps() == []
    assert store.newest() == (None, [])


def test_what_is_saved_is_found(store):
    save(store, 5, best=5)
    found, damaged = store.newest()
    assert damaged == []
    assert found.path == store.path(5)
    assert torch.equal(found.weights["weight"], torch.full((3,), 5.0))
    assert found.training == {"at": 5}
    assert {key: found.manifest[key] for key in ("step", "best", "word")} == {"step": 5, "best": 5, "word": "x"}
    assert store.path(5).name == "step-000000005"


@pytest.mark.parametrize("keep", [1, 2, 5])
@pytest.mark.parametrize("best", [None, 10, 20, 60])
def test_the_last_ones_and_the_best_are_kept(tmp_path, keep, best):
    store = CheckpointStore(tmp_path, keep)
    for step in range(10, 70, 10):
        save(store, step, best=best if best is not None and best <= step else None)
    kept = set(range(10, 70, 10)[-keep:]) | ({best} if best else set())
    assert store.steps() == sorted(kept)
    assert {path.name for path in tmp_path.iterdir()} == {store.path(step).name for step in kept}


def test_one_that_was_the_best_goes_with_the_next_best(store):
    save(store, 1, best=1)
    save(store, 2, 3, 4, best=1)
    assert store.steps() == [1, 3, 4]
    save(store, 5, best=5)
    assert store.steps() == [4, 5]


def test_steps_are_in_the_order_of_numbers(tmp_path):
    store = CheckpointStore(tmp_path, keep=9)
    steps = [9, 10, 999_999_999, 1_000_000_000, 10**12]
    save(store, *reversed(steps))
    assert store.steps() == steps
    assert newest(store) == (10**12, 0)


def test_one_that_is_there_is_left(store):
    save(store, 3)
    before = {path: path.stat().st_mtime_ns for path in store.path(3).iterdir()}
    save(store, 3)
    assert {path: path.stat().st_mtime_ns for path in store.path(3).iterdir()} == before


@pytest.mark.parametrize("name", [WEIGHTS, TRAINING, MANIFEST])
def test_where_the_newest_is_damaged_the_one_before_is_found(store, name):
    save(store, 1, 2)
    damage(store, 2, name)
    found, damaged = store.newest()
    assert found.manifest["step"] == 1
    assert [str(store.path(2) / name) in str(error) for error in damaged] == [True]


def test_where_all_are_damaged_that_is_said(store):
    save(store, 1, 2)
    damage(store, 1)
    damage(store, 2)
    with pytest.raises(CheckpointError) as caught:
        store.newest()
    remedy = f"no checkpoint in {store.folder} is intact, put a copy back or train anew"
    assert str(caught.value).startswith(f"{store.path(2)}")
    assert str(caught.value).endswith(f"it is damaged; {remedy}")


def test_one_under_another_name_is_passed_over(store):
    save(store, 1, 2)
    store.path(2).rename(store.path(7))
    with pytest.raises(CheckpointError, match=r"step-000000007 holds step 2; it was renamed"):
        store.load(7)
    assert newest(store) == (1, 1)


def test_one_that_is_not_there(store):
    with pytest.raises(CheckpointError, match=r"step-000000004/manifest\.json cannot be read"):
        store.load(4)


def test_other_names_are_none_of_ours(store):
    save(store, 1)
    for name in ("step-5", "step-0000000005", "step-00000000x", "notes", "step-000000009.bak", "xstep-000000009"):
        shutil.copytree(store.path(1), store.folder / name)
    before = set(os.listdir(store.folder))
    assert store.steps() == [1]
    save(store, 2, 3)
    store.sweep(3)
    assert before - {"step-000000001"} == set(os.listdir(store.folder)) - {"step-000000002", "step-000000003"}


def test_a_file_in_place_of_a_checkpoint(store):
    save(store, 1)
    store.path(2).write_text("mine")
    assert newest(store) == (1, 1)


def test_a_sweep_removes_what_is_half_written_and_what_is_after_the_newest_that_is_intact(store):
    save(store, 1, 2)
    damage(store, 2)
    (store.folder / ".step-000000003.1.partial").mkdir()
    (store.folder / ".step-000000003.1.partial" / WEIGHTS).write_text("half")
    store.sweep(1)
    assert os.listdir(store.folder) == ["step-000000001"]
    save(store, 2)
    assert newest(store) == (2, 0)


def test_a_sweep_of_what_has_no_checkpoint_yet(store):
    (store.folder / ".step-000000003.1.partial").mkdir()
    store.sweep(0)
    assert os.listdir(store.folder) == []


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere cannot be read: No such file or directory"):
        CheckpointStore(tmp_path / "nowhere").newest()


def test_a_disk_that_is_full_leaves_those_before(store, monkeypatch):
    save(store, 1, 2)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ResourceError, match=r"step-000000003 cannot be written: No space left on device"):
        save(store, 3)
    assert store.steps() == [1, 2]
    assert newest(store) == (2, 0)
    assert sorted(os.listdir(store.folder)) == ["step-000000001", "step-000000002"]
