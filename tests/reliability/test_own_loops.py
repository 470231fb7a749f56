"""A loop of one's own, killed at a call of a save or of resuming, ends with the bytes of an undisturbed one."""

import json
import shutil
import signal

import pytest

from .promises import KILLED
from .small_run import litter
from .test_crash_points import moments

PHASES = [("own saving", 1), ("own saving", 3), ("own resuming", 1)]
"""Which call of each is watched: with the first checkpoint the folder is made, with the third, one is removed."""


def left(folder):
    """Return all that must not depend on how often the loop was killed."""
    kept = {}
    for path in sorted((folder / "run" / "checkpoints").rglob("*")):
        if path.is_file():
            kept[f"{path.parent.name}/{path.name}"] = path.read_bytes()
            if path.name == "manifest.json":
                manifest = json.loads(path.read_bytes())
                manifest["training"].pop("seconds", None)
                del manifest["sha256"]
                kept[f"{path.parent.name}/{path.name}"] = manifest
    return kept, (folder / "result").read_text()


def go(server, folder, loop, before=(), **given):
    return server.run(folder=folder, call=["own_loops", loop, given], before=list(before))


@pytest.mark.parametrize("loop", ["training", "plain"])
@pytest.mark.parametrize(("phase", "occurrence"), PHASES)
@pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"])
@pytest.mark.timeout(900)
def test_killed_at_a_call(server, tally, tmp_path, loop, phase, occurrence, every):
    begun = tmp_path / "begun"
    begun.mkdir()
    if phase == "own resuming":  # from step 6, of which only the half is there, so that there is something to remove
        plan = {"phase": "own saving", "occurrence": 3, "at": 12}
        assert go(server, begun, loop, [["crash_points", "install", plan]]).code == -signal.SIGKILL

    def crash(folder, **plan):
        shutil.copytree(begun, folder)
        plan = ["crash_points", "install", {"phase": phase, "occurrence": occurrence, **plan}]
        return go(server, folder, loop, [plan])

    log = tmp_path / "calls.json"
    done = crash(tmp_path / "whole", log=str(log))
    assert done.code == 0, done
    expected = left(tmp_path / "whole")
    assert sorted({name.split("/")[0] for name in expected[0]})[-2:] == ["step-000000006", "step-000000008"]
    points = list(moments(json.loads(log.read_text())))[::every]
    failures = []
    for at, name, moment in points:
        folder = tmp_path / f"{at}-{moment}"
        killed = crash(folder, at=at, moment=moment)
        done = go(server, folder, loop)
        if killed.code != -signal.SIGKILL or done.code != 0:
            failures.append((at, name, moment, killed, done))
        elif left(folder) != expected or litter(folder):
            failures.append((at, name, moment, "it ends otherwise", litter(folder)))
    assert len(points) > 1
    tally(KILLED, f"killed before, in and after each call of the system, a loop's {phase}", len(points), failures)


def test_another_process_is_kept_out(server, tmp_path):
    """Of two that save to one folder, the one that comes later stops with a line and leaves what is there."""
    assert go(server, tmp_path, "plain", limit=4).code == 0
    before = left(tmp_path)
    done = go(server, tmp_path, "plain", [["faults", "locked_elsewhere", {"run": "run"}]])
    assert done.code == 99
    assert "run is being written by another process; wait for it, or end it" in done.err
    assert left(tmp_path) == before
