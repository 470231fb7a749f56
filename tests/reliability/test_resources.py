"""A disk that is full, a folder that is gone: one line, exit 8, and the last checkpoint is intact."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from .crash_points import FAILS
from .promises import LACKING
from .small_run import complaints, differences, go_on

RESOURCES = 8


@pytest.fixture
def stopped(server, undisturbed, tmp_path):
    """Let something go wrong in a run: stopped(folder, "full_disk", after=1000) -> its Outcome."""
    run = undisturbed("cosine")

    def get(folder, fault, **arguments):
        folder.parent.mkdir(exist_ok=True)
        return server.run(*run.words, "--out", folder, folder=folder.parent, before=[["faults", fault, arguments]])

    return get


@pytest.mark.parametrize("share", [0.001, 0.2, 0.41, 0.6, 0.97])
def test_a_full_disk(server, undisturbed, tally, tmp_path, stopped, share):
    run = undisturbed("cosine")
    whole, folder = tmp_path / "whole" / "run", tmp_path / "full" / "run"
    assert stopped(whole, "full_disk", after=2**40, log=str(tmp_path / "written")).code == 0
    done = stopped(folder, "full_disk", after=int(share * int((tmp_path / "written").read_text())))
    failures = complaints(done, RESOURCES, str(folder), "No space left")
    if folder.exists():
        failures += differences(server, run.words, folder, run.left)
    else:
        failures += [path.name for path in folder.parent.iterdir() if path.name.endswith(".partial")]
    tally(LACKING, "the disk is full: exit 8, the last checkpoint goes on", 1, failures)


@pytest.mark.parametrize("size", [500, 3000, 20_000])
def test_files_that_may_not_grow(server, undisturbed, tally, tmp_path, size):
    run = undisturbed("cosine")
    done = server.run(*run.words, "--out", tmp_path / "run", folder=tmp_path, limits={"file_bytes": size})
    tally(LACKING, "a limit on the size of files: exit 8", 1, complaints(done, RESOURCES, "File too large"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("every", [17, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"])
def test_every_call_of_a_save_fails(server, undisturbed, tally, tmp_path, every):
    run = undisturbed("cosine")

    def fail(number):
        folder = tmp_path / str(number) / "run"
        folder.parent.mkdir()
        plan = {"phase": "saving", "occurrence": 4, "at": number, "moment": FAILS, "log": str(tmp_path / "calls")}
        return folder, go_on(server, run.words, folder, before=[["crash_points", "install", plan]])

    assert fail(0)[1].code == 0
    names = json.loads((tmp_path / "calls").read_text())
    failures = []
    for number in range(1, len(names) + 1)[::every]:
        folder, done = fail(number)
        wrong = [*complaints(done, RESOURCES, str(folder)), *differences(server, run.words, folder, run.left)]
        failures += [(number, names[number - 1], what) for what in wrong]
    tally(LACKING, "each call of a save fails: exit 8, the last checkpoint goes on", len(names) // every, failures)


def test_a_folder_that_is_gone(tally, tmp_path, stopped):
    folder = tmp_path / "run"
    done = stopped(folder, "removed", run=str(folder), step=7)
    failures = complaints(done, RESOURCES, str(folder), "No such file")
    tally(LACKING, "the run's folder is removed: exit 8", 1, failures)
    assert not folder.exists()


def test_a_folder_that_becomes_read_only(server, undisturbed, tally, stopped):
    run = undisturbed("cosine")
    with tempfile.TemporaryDirectory() as scratch:  # which anybody may enter
        os.chmod(scratch, 0o777)
        folder = Path(scratch) / "run"
        done = stopped(folder, "read_only", run=str(folder), step=7)
        failures = complaints(done, RESOURCES, str(folder), "Permission denied")
        for path in (folder, folder / "checkpoints"):
            path.chmod(0o755)
        failures += differences(server, run.words, folder, run.left)
    tally(LACKING, "the run's folder becomes read-only: exit 8, the last checkpoint goes on", 1, failures)


@pytest.mark.parametrize("files", range(1, 7))
def test_too_many_open_files(server, undisturbed, tally, tmp_path, files):
    run = undisturbed("cosine")
    shutil.copytree(run.run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / run.left.kept[-1])
    done = go_on(server, run.words, tmp_path / "run", limits={"files": files})
    failures = [] if done.code == 0 else complaints(done, RESOURCES, "Too many open files")
    failures += differences(server, run.words, tmp_path / "run", run.left)
    tally(LACKING, "too many open files: exit 8", 1, failures)


def test_memory_that_is_not_there(server, undisturbed, tally, tmp_path):
    run = undisturbed("cosine")
    limits = {"memory": 2**28}
    done = server.run(*run.words, "--hidden", 6000, "--out", tmp_path / "run", folder=tmp_path, limits=limits)
    failures = complaints(done, RESOURCES, "memory", "--hidden")
    tally(LACKING, "a limit on memory: exit 8, nothing is left", 1, failures + os.listdir(tmp_path)[2:])
