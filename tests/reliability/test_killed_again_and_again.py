"""A run that is killed every few seconds ends where the undisturbed one does."""

import signal

import pytest

from .promises import KILLED
from .small_run import differences, go_on, left, words

SECONDS = 20.0
KILLS = 8
"""At least; the whole takes about ten minutes on one slow core."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_every_few_seconds(server, undisturbed, tally, tmp_path):
    text = undisturbed("cosine").run.parent / "text.txt"
    long = {"hidden": 32, "seq_len": 32, "tbptt": "16,32", "steps": 6000, "validate_every": 500, "save_every": 50}
    start = words(text, **long, schedule="cosine", warmup=100)
    whole, run = tmp_path / "whole" / "run", tmp_path / "killed" / "run"
    for folder in (whole, run):
        folder.parent.mkdir()
    assert go_on(server, start, whole, limit=1800).code == 0
    kills = 0
    for _ in range(200):
        done = go_on(server, start, run, signals=[(SECONDS, signal.SIGKILL)])
        if done.code == 0:
            break
        assert done.code == -signal.SIGKILL, done
        kills += 1
    assert kills >= KILLS, "it is too short for this machine"
    failures = differences(server, start, run, left(whole))
    tally(KILLED, f"a run killed every {SECONDS:.0f} s and resumed each time", kills, failures)
