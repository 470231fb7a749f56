"""`kill -9` at any moment, and the resumed run ends where the undisturbed one does, to the byte."""

import random
import signal

import pytest

from .promises import KILLED
from .small_run import SCHEDULES, differences


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("seed", "kills"), [(0, 3), *(pytest.param(seed, 10, marks=pytest.mark.slow) for seed in range(1, 21))]
)
def test_killed_at_random_moments(server, undisturbed, tally, tmp_path, seed, kills):
    moments = random.Random(seed)
    run = undisturbed(list(SCHEDULES)[seed % len(SCHEDULES)])
    failures = []
    killed, seconds = 0, run.seconds
    for trial in range(3 * kills):
        folder = tmp_path / str(trial) / "run"
        folder.parent.mkdir()
        moment = moments.uniform(0, 1.05 * seconds)
        done = server.run(*run.words, "--out", folder, folder=folder.parent, signals=[(moment, signal.SIGKILL)])
        if done.code != -signal.SIGKILL:  # it was over already
            seconds = min(seconds, done.seconds)  # the machine is less busy now
            continue
        killed += 1
        failures += [(moment, wrong) for wrong in differences(server, run.words, folder, run.left)]
        if killed == kills:
            break
    assert killed == kills
    tally(KILLED, "`kill -9` at a random moment, then `--resume`", killed, failures)
