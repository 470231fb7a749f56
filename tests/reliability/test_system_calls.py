"""The same at the calls that the kernel sees, by strace, which ends the process as it enters the n-th of a kind."""

import json
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest

from .promises import KILLED
from .small_run import differences, go_on
from .test_crash_points import PHASES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]


@pytest.mark.parametrize("phase", PHASES)
def test_killed_at_every_system_call(server, undisturbed, tally, tmp_path, begun, phase):
    run = undisturbed("cosine")

    def crash(folder, **trace):
        folder.parent.mkdir()
        if phase == "resuming":
            shutil.copytree(begun, folder)
        plan = ["tracing", "install", {"phase": phase, "occurrence": PHASES[phase], **trace}]
        return go_on(server, run.words, folder, before=[plan])

    log = tmp_path / "calls.json"
    assert crash(tmp_path / "whole" / "run", log=str(log)).code == 0
    points = [(name, at) for name, count in calls(log).items() for at in range(1, count + 1)]
    failures = []
    for name, at in points:
        folder = tmp_path / f"{name}-{at}" / "run"
        done = crash(folder, name=name, at=at)
        if done.code == -signal.SIGKILL:
            failures += [(name, at, wrong) for wrong in differences(server, run.words, folder, run.left)]
        else:
            failures.append((name, at, done))
    tally(KILLED, f"killed by strace at each system call on files, {phase}", len(points), failures)


def calls(log: Path) -> Counter[str]:
    """Count the system calls by name."""
    return Counter(json.loads(log.read_text()))
