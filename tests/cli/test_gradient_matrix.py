"""`rnnkit gradcheck --matrix`: counted, resumed, and red with the command that repeats what is wrong."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest

from rnnkit.cli.matrix_report import duration, summary
from rnnkit.matrix.case import CHECKS

SMALL = ("gradcheck", "--matrix", "--cell", "rnn", "--unroller", "loop", "--order", 2, "--jobs", 0)

WRONG = """
class Detached(Fake):
    name = "detached"

    def step(self, p, state):
        h = torch.tanh(p @ self.weight.t() + state[0].detach())
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells():
    return [Detached]
"""


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_counts_and_a_certificate(cli, tmp_path):
    result = cli(*SMALL, "--out", "m")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""  # no terminal, no bar
    assert re.search(r"^second order +12 +0 +0 +0 ", result.stdout, re.MULTILINE)
    assert re.search(r"^second order 12 passed, 0 failed, [\d.]+ s$", result.stdout, re.MULTILINE)
    assert result.stdout.endswith("certificate: m/certificate.json\n")
    content = json.loads((tmp_path / "m" / "certificate.json").read_text())
    assert content["counts"] == {"second": {"passed": 12, "by the loop": 0, "declared": 0, "failed": 0}}
    assert {row["cell"] for row in content["worst"]} == {"rnn"}


def test_a_second_time_all_is_taken_over(cli):
    cli(*SMALL, "--out", "m")
    result = cli(*SMALL, "--out", "m")
    assert "second order 12 passed, 0 failed, 12 taken over from records" in result.stdout


def test_a_smaller_choice_replaces_nothing(cli, lines, tmp_path):
    cli(*SMALL, "--out", "m")
    words = ("gradcheck", "--case", "rnn/loop/packed/bi/first", "--out", "m")
    result = cli(*words)
    assert "first order 1 passed, 0 failed" in result.stdout
    assert result.stdout.endswith("certificate: m/certificate.json, with 12 other cases that were recorded there\n")
    content = json.loads((tmp_path / "m" / "certificate.json").read_text())
    assert {check: found["passed"] for check, found in content["counts"].items()} == {"first": 1, "second": 12}
    assert lines(cli(*words, "--json").stdout)[-1]["beside"] == 12


def test_lists_and_repeated_options_and_expressions(cli, lines):
    words = ("gradcheck", "--matrix", "--unroller", "loop", "--order", 1, "--jobs", 0, "--json")
    cells = ("--cell", "rnn,norm(rnn, input=false)", "--cell", "mgu")
    *records, end = lines(cli(*words, *cells).stdout)
    assert list(dict.fromkeys(record["case"].split("/")[0] for record in records)) == [
        "rnn",
        "norm(rnn, input=false)",
        "mgu",
    ]
    assert end["event"] == "end"
    assert end["counts"]["first"]["passed"] == len(records) == 36
    assert end["certificate"].startswith("runs/gradcheck-")


def test_a_cell_of_the_environment_may_be_an_expression(cli, monkeypatch):
    monkeypatch.setenv("RNNKIT_GRADCHECK_CELL", "zoneout(rnn, rate=0.25)")
    assert "cell zoneout(rnn, rate=0.25)" in cli("gradcheck", "--steps", 2, "--hidden", 2).stdout


def test_exceptions_are_counted_with_their_reasons(cli):
    result = cli("gradcheck", "--matrix", "--cell", "gru", "--unroller", "scan", "--order", 1, "--jobs", 0)
    assert result.exit_code == 0
    assert "first order 0 passed, 12 exceptions declared (1 reason), 0 failed" in result.stdout
    assert "unroller 'scan': the cell is not linear in its state" in result.stdout


def test_red_names_culprit_and_component_and_repeats(site, cli, cell_source):
    site.install("fake-detached", detached=cell_source(hook=WRONG))
    words = ("gradcheck", "--matrix", "--cell", "rnn,detached", "--unroller", "loop", "--order", 1, "--jobs", 0)
    result = cli(*words, "--out", "m")
    assert result.exit_code == 3
    assert re.search(
        r"^WRONG  detached/loop/time-major/uni/first: the gradient of h0 at \[0, \d, \d\] is 0; ", result.stdout, re.M
    )
    assert "first order 12 passed, 12 failed" in result.stdout
    line = result.stderr.strip()
    assert line.startswith("rnnkit: detached/loop/time-major/uni/first: the gradient of ")
    assert "(and 11 more); repeat it: rnnkit gradcheck --case detached/loop/time-major/uni/first" in line
    assert "\n" not in line
    again = cli(*shlex.split(line.partition("repeat it: rnnkit ")[2]))
    assert again.exit_code == 3
    assert "first order 0 passed, 1 failed" in again.stdout
    assert [path.name for path in sorted(site.path.parent.iterdir())] == ["m", "site"]  # one case needs no folder


def test_a_case_with_a_seed_is_repeated_with_it(site, cli, cell_source):
    site.install("fake-detached", detached=cell_source(hook=WRONG))
    result = cli("gradcheck", "--case", "detached/loop/unbatched/bi/first", "--seed", 7)
    assert result.stderr.strip().endswith("--case detached/loop/unbatched/bi/first --seed 7")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--matrix", "--hidden", 3), "--hidden: the matrix has sizes of its own"),
        (("--matrix", "--input", 3), "--input: the matrix has sizes of its own"),
        (("--matrix", "--set", "cell.bias=false"), "leave out --set"),
        (("--cell", "rnn,gru"), "--cell names 2 cells; name one, or check them all with --matrix"),
        (("--unroller", "loop", "--unroller", "vendor"), "--unroller names 2 unrollers"),
        (("--jobs", 2), "--jobs goes with --matrix"),
        (("--out", "m"), "--out goes with --matrix"),
        (("--case", "rnn/loop/unbatched/bi/frist"), "unknown check 'frist' (did you mean 'first'?)"),
        (("--case", "rnn/loop/unbatched/bi/first", "--cell", "rnn"), "--case names cell, unroller and check itself"),
        (("--case", "lsmt/loop/unbatched/bi/first"), "unknown cell 'lsmt' (did you mean 'lstm'?)"),
        (("--matrix", "--cell", "rnn,,gru"), "is not cells between commas, such as lstm,gru"),
        (("--matrix", "--unroller", "auto"), "unknown unroller 'auto'"),
        (("--matrix", "--out", "."), "--out . holds something else"),
    ],
)
def test_what_makes_no_sense_is_refused(cli, tmp_path, words, said):
    (tmp_path / "letter.txt").write_text("dear")
    result = cli("gradcheck", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def start(*words):
    command = [sys.executable, "-m", "rnnkit", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("jobs", [0, 2])
def test_a_signal_leaves_what_was_done_and_says_how_to_go_on(tmp_path, lines, number, code, jobs):
    words = ("gradcheck", "--matrix", "--cell", "rnn,gru", "--unroller", "loop", "--out", "m")
    running = start(*words, "--jobs", jobs)
    records = tmp_path / "m" / "records.jsonl"
    while not (records.exists() and records.read_text().count("\n") > 5):
        time.sleep(0.05)
        assert running.poll() is None
    running.send_signal(number)
    _, said = running.communicate(timeout=30)
    assert running.returncode == code
    assert said.endswith("go on with the same line and --out m\n")
    assert said.count("\n") == 1
    done = records.read_text().count("\n")
    again = subprocess.run(
        [sys.executable, "-m", "rnnkit", *words, "--jobs", "0", "--json"], capture_output=True, text=True
    )
    *rest, end = lines(again.stdout)
    assert len(rest) == 120 - done == end["effort"]["examined"]


@pytest.mark.slow
def test_a_bar_on_a_terminal_of_80_columns(tmp_path):
    """What is written between two returns of the cursor is no wider than the terminal."""
    import pty

    mine, theirs = pty.openpty()
    words = ["gradcheck", "--matrix", "--cell", "rnn", "--unroller", "loop", "--out", "m", "--jobs", "1"]
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    running = subprocess.Popen(
        [sys.executable, "-m", "rnnkit", *words], stdout=subprocess.DEVNULL, stderr=theirs, env=environment
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(mine, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(mine)
    assert running.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    shown = [line.rstrip() for line in re.split(r"[\r\n]+", text)]
    assert any(re.match(r"\d+ of 60 +━", line) for line in shown)
    assert max(map(len, shown)) <= 80


def test_the_summary_has_all_counts():
    counts = {check: {"passed": 1704, "by the loop": 3, "declared": 2, "failed": 0} for check in CHECKS}
    effort = {"seconds": 720.0, "jobs": 2, "examined": 5 * 1706 - 6}
    assert summary({"counts": counts, "exceptions": [{}] * 5, "effort": effort}) == (
        "first order 1,704 passed, second order 1,704 passed, vmap 1,704 passed, jvp 1,704 passed, "
        "float32 1,704 passed, 10 exceptions declared (5 reasons), 0 failed, 6 taken over from records, 12 min"
    )
    assert duration(8.42) == "8.4 s"
