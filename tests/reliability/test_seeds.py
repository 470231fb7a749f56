"""The same seed gives the same bits in any process, and what they depend on is told when it changes."""

import hashlib
import os
import shutil
import subprocess
import sys

import pytest

from ..slow_cases import slow_but
from .promises import SEEDED
from .small_run import complaints, go_on, left


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", slow_but([0], range(20)))
def test_two_processes_give_the_same_bits(server, undisturbed, tally, tmp_path, seed):
    """One is forked, the other begins from nothing."""
    run = undisturbed("cosine")
    line = [*run.words, "--seed", str(seed), "--out"]
    forked = server.run(*line, tmp_path / "forked", folder=tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "rnnkit", *line, str(tmp_path / "fresh")]
    fresh = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (forked.code, fresh.returncode) == (0, 0), (forked, fresh)
    hashes = {hashlib.sha256(repr(left(tmp_path / name)).encode()).hexdigest() for name in ("forked", "fresh")}
    tally(SEEDED, "a seed in two processes gives the same bits", 1, [hashes] * (len(hashes) != 1))


def test_another_seed_gives_other_bits(server, undisturbed, tmp_path):
    run = undisturbed("cosine")
    assert server.run(*run.words, "--seed", 4, "--out", tmp_path / "run", folder=tmp_path).code == 0
    assert left(tmp_path / "run").metrics != run.left.metrics


def test_another_environment_is_told(server, undisturbed, tally, tmp_path):
    run = undisturbed("cosine")
    shutil.copytree(run.run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / run.left.kept[-1])
    done = go_on(server, run.words, tmp_path / "run", before=[["faults", "threads", {"number": 2}]])
    assert done.code == 0, done
    told = done.err.splitlines()
    failures = [told] * (len(told) != 1 or "threads was 1" not in told[0] or "now it is 2" not in told[0])
    tally(SEEDED, "another number of threads on resume is a warning that names it", 1, failures)


def test_changed_settings_are_told(server, undisturbed, tally, tmp_path):
    run = undisturbed("cosine")
    shutil.copytree(run.run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / run.left.kept[-1])
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text().replace("clip = 0.5", "clip = 0.7"))
    done = go_on(server, run.words, tmp_path / "run")
    assert done.code == 0, done
    failures = [done.err] * ("clip was 0.5" not in done.err or done.err.count("\n") != 1)
    failures += complaints(server.run("run", "--resume", tmp_path / "run", "--clip", 0.2), 2, "clip is 0.7")
    tally(SEEDED, "changed settings on resume are a warning or an error that names them", 2, failures)
