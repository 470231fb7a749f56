"""Where no kernel can be had, that is said: once on stderr, by `explain`, `doctor`, and in the folder of a run."""

import json
import os
import subprocess
import sys

import pytest

import rnnkit
from rnnkit.layers.unroller_report import passed_over, running


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Do all in a process whose compiler fails and that has no kernels; returns its outputs, its stderr and the run."""
    folder = tmp_path_factory.mktemp("without")
    run = ["run", "--task", "adding", "--steps", "1", "--hidden", "8", "--batch", "2", "--out", "run"]
    commands = [["doctor"], ["cells", "lstm", "--explain"], ["cells", "lstm", "--explain", "--json"], run]
    program = f"""
import subprocess, sys, contextlib
from rnnkit.cli.main import main
for words in {commands!r}:
    print("----", flush=True)
    with contextlib.suppress(SystemExit):
        main(words)
"""
    environment = {**os.environ, "RNNKIT_CXX": "false", "RNNKIT_CACHE": str(folder / "kernels"), "COLUMNS": "300"}
    command = [sys.executable, "-c", program]
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)
    return process.stdout.split("----\n")[1:], process.stderr, folder / "run"


REASON = "false did not compile a kernel, it ended with status 1"


def test_it_is_said_once(told):
    (line,) = (line for line in told[1].splitlines() if "kernel" in line)
    assert REASON in line
    assert line.endswith("cells run on torch's operations, which is slower")


def test_doctor_tells_it(told):
    (row,) = (line for line in told[0][0].splitlines() if "compiled: kernels" in line)
    assert "  none: /" in row
    assert REASON in row


def test_an_explanation_names_what_auto_passed_over(told):
    assert "auto passed over compiled: backend: torch; no native kernel: " in told[0][1]
    assert REASON in told[0][1]
    assert REASON in json.loads(told[0][2])["passed_over"]["compiled"]


def test_a_run_stores_it(told):
    stored = json.loads((told[2] / "env.json").read_text())
    assert stored["unroller"] == ["loop"]
    assert stored["runs"] == ["steps through time with torch's operations"]
    assert REASON in stored["passed over"]["compiled"]


def test_what_is_asked_for_passes_over_nothing():
    layer = rnnkit.RNN("lstm", 2, 3, unroller="loop")
    assert set(passed_over(layer)) == {"compiled"}
    assert running([layer], "loop")["passed over"] == {}
    assert passed_over(rnnkit.RNN("lstm", 2, 3, unroller="checkpoint")) == {}


def test_an_explanation_that_fails_ends_nothing(monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("division by zero")

    layer = rnnkit.RNN("lstm", 2, 3, unroller="loop")
    monkeypatch.setattr(type(layer.unroller), "explain", fail)
    assert running([layer], "loop")["runs"] == ["explain() failed: ZeroDivisionError: division by zero"]
