"""A run that is killed every few seconds ends where the undisturbed one does."""

import signal

import pytest

from .promises import KILLED
from .small_run import differences, go_on, left, words

SECONDS = 20.0
WHOLE = 800.0
"""Seconds of the undisturbed run, as a short one foretells them."""

KILLS = 30
"""At least: it has run for ten minutes."""


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_killed_every_few_seconds(server, undisturbed, tally, tmp_path):
    text = undisturbed("cosine").run.parent / "text.txt"
    long = {"hidden": 32, "seq_len": 32, "tbptt": "16,32", "validate_every": 500, "save_every": 50}
    short, whole, run = (tmp_path / name / "run" for name in ("short", "whole", "killed"))
    for folder in (short, whole, run):
        folder.parent.mkdir()
    speed = 500 / go_on(server, words(text, **long, steps=500), short).seconds
    start = words(text, **long, steps=round(speed * WHOLE), schedule="cosine", warmup=100)
    assert go_on(server, start, whole, limit=4 * WHOLE).code == 0
    kills = 0
    for _ in range(200):
        done = go_on(server, start, run, signals=[(SECONDS, signal.SIGKILL)])
        if done.code == 0:
            break
        assert done.code == -signal.SIGKILL, done
        kills += 1
    assert kills >= KILLS, "it was over in less than ten minutes"
    failures = differences(server, start, run, left(whole))
    tally(KILLED, f"a run of ten minutes killed every {SECONDS:.0f} s and resumed each time", kills, failures)
