"""What the trials share: the process that forks them, the undisturbed runs, and the counts."""

import json
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from .client import Server
from .small_run import PANGRAM, SCHEDULES, Left, left, words

COUNTS = "RNNKIT_COUNTS"
"""Environment variable: a file to which a line of JSON is added for what each test has counted."""


class Undisturbed(NamedTuple):
    """A run that nothing happened to."""

    words: list[str]
    """Its command line but for the folder."""
    run: Path
    left: Left
    seconds: float


@pytest.fixture(scope="session")
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def undisturbed(server, tmp_path_factory):
    """Return the undisturbed run of a schedule: undisturbed("cosine")."""
    folder = tmp_path_factory.mktemp("undisturbed")
    text = folder / "text.txt"
    text.write_text(PANGRAM * 40)
    found = {}

    def get(schedule):
        if schedule not in found:
            line, run = words(text, **SCHEDULES[schedule]), folder / schedule
            done = server.run(*line, "--out", run)
            assert done.code == 0, done
            found[schedule] = Undisturbed(line, run, left(run), done.seconds)
        return found[schedule]

    return get


@pytest.fixture
def begun(server, undisturbed, tmp_path):
    """Return a folder in which a run was killed after its third checkpoint, in the middle of the fourth."""
    run = undisturbed("cosine")
    plan = ["crash_points", "install", {"phase": "saving", "occurrence": 5, "at": 12}]
    assert server.run(*run.words, "--out", tmp_path / "begun", folder=tmp_path, before=[plan]).code == -signal.SIGKILL
    return tmp_path / "begun"


@pytest.fixture
def tally(request):
    """Count trials, and expect no failure: tally(KILLED, "`kill -9` at a random moment", 200, failures)."""
    began = time.monotonic()

    def count(promise, what, trials, failures):
        if COUNTS in os.environ:
            seconds = round(time.monotonic() - began, 1)
            entry = {"promise": promise, "what": what, "trials": trials, "failures": len(failures), "seconds": seconds}
            entry["examples"] = [str(failure) for failure in failures[:5]]
            with Path(os.environ[COUNTS]).open("a") as file:
                file.write(json.dumps(entry) + "\n")
        assert trials > 0
        assert failures == []

    return count
