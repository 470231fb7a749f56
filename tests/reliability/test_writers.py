"""Two processes never write to one run."""

import json
import shutil
import signal

from .promises import LOCKED
from .small_run import FINISHED, complaints, left

RACERS = 6


def test_a_locked_run_is_refused(server, undisturbed, tally, tmp_path):
    run = undisturbed("cosine")
    shutil.copytree(run.run, tmp_path / "run")
    held = [["faults", "locked_elsewhere", {"run": str(tmp_path / "run")}]]
    done = server.run("run", "--resume", tmp_path / "run", folder=tmp_path, before=held)
    tally(LOCKED, "a run that another writes to: exit 5", 1, complaints(done, 5, "another process"))


def test_of_many_that_resume_at_once_one_does(server, undisturbed, tally, tmp_path):
    run = undisturbed("long")
    folder = tmp_path / "run"
    plan = ["crash_points", "install", {"phase": "saving", "occurrence": 3, "at": 5}]
    killed = server.run(*run.words, "--out", folder, folder=tmp_path, before=[plan])
    assert killed.code == -signal.SIGKILL
    resumed = {"words": ["run", "--resume", str(folder), "--quiet"], "count": RACERS}
    assert server.run(folder=tmp_path, call=["faults", "race", resumed]).code == 0
    codes = json.loads((tmp_path / "codes.json").read_text())
    told = [(tmp_path / f"stderr-{number}").read_text() for number in range(RACERS)]
    # One that comes when the winner is through finds nothing to do.
    failures = [(code, line) for code, line in zip(codes, told, strict=True) if not understood(code, line)]
    failures += [codes] * (codes.count(0) != 1 or 5 not in codes)
    failures += ["another end"] * (left(folder) != run.left)
    tally(LOCKED, "of six processes that resume at once one does, the others exit 5", 1, failures)


def understood(code, line):
    expected = {0: "", 5: "another process", 2: FINISHED}
    return code in expected and expected[code] in line and line.count("\n") == (code != 0)
