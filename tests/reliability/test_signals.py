"""SIGTERM and SIGINT at any moment: a checkpoint is there, one line says how to go on, and the bits stay."""

import json
import random
import signal
from itertools import pairwise

import pytest

from ..slow_cases import slow_but
from .promises import SIGNALLED
from .small_run import complaints, differences, lost, words

ENDINGS = {signal.SIGTERM: 143, signal.SIGINT: 130}
PROMPT = 2.0
"""Seconds from the end of the step at hand to the end of the process."""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("seed", "signals"), [(0, 2), *(pytest.param(seed, 10, marks=pytest.mark.slow) for seed in range(1, 6))]
)
def test_signals_at_random_moments(server, undisturbed, tally, tmp_path, seed, signals):
    draw = random.Random(seed)
    run = undisturbed("long")
    failures = []
    stopped = 0
    for trial in range(5 * signals):
        folder = tmp_path / str(trial) / "run"
        folder.parent.mkdir()
        moment, number = draw.uniform(0, run.seconds), draw.choice(list(ENDINGS))
        request = {"signals": [(moment, number)], "awaited": str(folder / "metrics.jsonl")}
        done = server.run(*run.words, "--out", folder, folder=folder.parent, **request)
        if done.code == 0:  # it was over already
            continue
        failures += complaints(done, ENDINGS[number])
        begun = str(folder) in done.err
        if begun:
            stopped += 1
            failures += [(moment, "no checkpoint of the last step")] * (lost(folder) != 0)
            late = done.cpu - done.sent[0][1] - longest_step(folder)  # of a processor: the machine may be busy
            failures += [(moment, f"{late:.2f} s")] * (late > PROMPT)
        failures += [(moment, wrong) for wrong in differences(server, run.words, folder, run.left, stopped=begun)]
        if stopped == signals:
            break
    assert stopped == signals
    tally(SIGNALLED, "SIGTERM or SIGINT at a random moment of training, then `--resume`", stopped, failures)


def longest_step(run):
    ends = [0.0, *(json.loads(line)["seconds"] for line in (run / "times.jsonl").read_text().splitlines())]
    return max(after - before for before, after in pairwise(ends))


@pytest.mark.parametrize("number", slow_but([signal.SIGTERM], ENDINGS), ids=lambda number: number.name)
def test_a_second_signal_ends_it_at_once(server, undisturbed, tally, tmp_path, number):
    text = undisturbed("long").run.parent / "text.txt"
    text.with_name("longer.txt").write_text(text.read_text() * 30)
    slow = words(text.with_name("longer.txt"), seq_len=10_000, tbptt="10000,10000", accumulate=1, validate_every=20)
    request = {"signals": [(0.05, number), (0.15, number)], "awaited": str(tmp_path / "run" / "metrics.jsonl")}
    done = server.run(*slow, "--out", tmp_path / "run", folder=tmp_path, **request)
    failures = complaints(done, ENDINGS[number])
    failures += [done] * (len(done.sent) < 2 or done.cpu - done.sent[1][1] > 1)
    tally(SIGNALLED, "a second signal ends it within a second", 1, failures)
