"""The process ends at each single call of the system that a run's files are written by."""

import json
import shutil
import signal

import pytest

from .crash_points import AFTER, BEFORE, HALF
from .promises import KILLED
from .small_run import differences, go_on

PHASES = {"making": 1, "appending": 3, "saving": 4, "resuming": 1}
"""Which call of each is watched; with the fourth checkpoint, one is removed."""


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"])
def test_killed_at_every_call(server, undisturbed, tally, tmp_path, begun, phase, every):
    run = undisturbed("cosine")

    def crash(folder, **plan):
        folder.parent.mkdir()
        if phase == "resuming":
            shutil.copytree(begun, folder)
        plan = ["crash_points", "install", {"phase": phase, "occurrence": PHASES[phase], **plan}]
        return go_on(server, run.words, folder, before=[plan])

    log = tmp_path / "calls.json"
    assert crash(tmp_path / "whole" / "run", log=str(log)).code == 0
    points = list(moments(json.loads(log.read_text())))[::every]
    failures = []
    for at, name, moment in points:
        folder = tmp_path / f"{at}-{moment}" / "run"
        done = crash(folder, at=at, moment=moment)
        if done.code == -signal.SIGKILL:
            failures += [(at, name, moment, wrong) for wrong in differences(server, run.words, folder, run.left)]
        else:
            failures.append((at, name, moment, done))
    tally(KILLED, f"killed before, in and after each call of the system, {phase}", len(points), failures)


def moments(names):
    """Yield each moment at which a process may end: before and after every call, and in the midst of a write."""
    for at, name in enumerate(names, 1):
        yield at, name, BEFORE
        if name == "write":
            yield at, name, HALF
        yield at, name, AFTER
