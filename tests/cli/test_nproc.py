"""`rnnkit run --nproc`: one run in several processes, which ends as one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from rnnkit.checkpoints.checkpoint_store import CheckpointStore
from rnnkit.cli import multiprocess
from rnnkit.cli.multiprocess import left, noted

pytestmark = pytest.mark.timeout(400)  # each starts three interpreters or more, each of which imports torch

TWO = ("--nproc", 2)
CHARS = (
    *(
        "run",
        "--cell",
        "lstm",
        "--layers",
        2,
        "--dropout",
        0.2,
        "--hidden",
        6,
        "--steps",
        60,
        "--batch",
        4,
        "--seq-len",
        16,
    ),
    *("--tbptt", "3,5", "--accumulate", 2, "--save-every", 1, "--keep", 2, "--quiet", "--json"),
)
LONG = ("run", "--task", "adding", "--steps", 1_000_000, "--hidden", 4, "--seq-len", 5, "--json")


@pytest.fixture
def start(tmp_path):
    """Start a command line in a process of its own, and end whatever is left of it."""
    running = []

    def begin(*words):
        command = [sys.executable, "-m", "rnnkit", *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": {**os.environ, "OMP_NUM_THREADS": "1"}}
        running.append(subprocess.Popen(command, cwd=tmp_path, text=True, **pipes))
        return running[-1]

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ranks(launcher):
    """Return the processes that a launcher has started, by rank."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    found = {}
    for child in children:
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        found |= {int(word[5:]): int(child) for word in environment if word.startswith(b"RANK=")}
    return found


def wait_for_step(launcher, step):
    for line in launcher.stdout:
        if json.loads(line).get("step") == step:
            return
    raise AssertionError(launcher.stderr.read())


def gone(pids):
    """Wait until processes have ended."""
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def curve(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [[line[name] for name in ("step", "loss", "metric", "gradient_norm", "tokens")] for line in lines]


def kill_one(start, words):
    """Kill one of two processes in mid-run, into the folder "run"."""
    launcher = start(*words, *TWO, "--out", "run")
    wait_for_step(launcher, 5)
    pids = ranks(launcher)
    os.kill(pids[1], signal.SIGKILL)
    began = time.monotonic()
    _, told = launcher.communicate(timeout=30)
    assert time.monotonic() - began < 30
    assert told == "rnnkit: process 1 of 2 was killed (signal 9); go on with: rnnkit run --resume run\n"
    assert launcher.returncode == 8
    gone(pids.values())


@pytest.mark.slow
def test_one_killed_ends_all_and_the_run_goes_on_as_one_process_would(start, cli, process, tmp_path, lines):
    words = ("run", "--task", "adding", "--cell", "gru", "--hidden", 4, "--seq-len", 9, "--batch", 4, "--steps", 150)
    words += ("--save-every", 4, "--unroller", "loop", "--dtype", "float64", "--quiet", "--json")
    kill_one(start, words)
    resumed = process("run", "--resume", "run", *TWO, "--quiet", "--json")
    assert (resumed.returncode, resumed.stderr) == (0, "")
    events = lines(resumed.stdout)
    steps = [event["step"] for event in events if event["event"] == "step"]
    assert steps == list(range(steps[0], 151))
    assert [event["event"] for event in events[len(steps) :]] == ["validation", "gradients", "end"]
    assert os.listdir(tmp_path) == ["run"]  # only the first writes
    assert cli(*words, "--out", tmp_path / "one").exit_code == 0
    one, two = (torch.tensor(curve(tmp_path / name)) for name in ("one", "run"))
    torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_a_run_of_which_one_was_killed_goes_on_to_the_bit(start, process, text, tmp_path):
    words = (*CHARS, "--text", text)
    assert process(*words, *TWO, "--out", "whole").returncode == 0
    kill_one(start, words)
    assert process("run", "--resume", "run", *TWO, "--quiet").returncode == 0
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    found = [CheckpointStore(tmp_path / name / "checkpoints").load(60) for name in ("run", "whole")]
    assert all(torch.equal(found[0].weights[name], found[1].weights[name]) for name in found[1].weights)


@pytest.mark.slow
def test_the_curve_of_one_process(cli, process, text, tmp_path):
    words = (*CHARS, "--text", text, "--dropout", 0, "--dtype", "float64")
    assert cli(*words, "--out", tmp_path / "one").exit_code == 0
    assert process(*words, *TWO, "--out", "two").returncode == 0
    one, two = (torch.tensor(curve(tmp_path / name)) for name in ("one", "two"))
    torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_what_two_began_one_goes_on_with(cli, process, text, tmp_path, caplog):
    words = (*CHARS, "--text", text, "--dropout", 0, "--dtype", "float64")
    assert process(*words, *TWO, "--steps", 10, "--out", "run").returncode == 0
    resumed = cli("run", "--resume", tmp_path / "run", "--steps", 20, "--quiet", "--json")
    assert resumed.exit_code == 0
    assert "processes was 2 when the checkpoint was made, now it is 1" in caplog.text
    assert cli(*words, "--steps", 20, "--out", tmp_path / "whole").exit_code == 0
    one, both = (torch.tensor(curve(tmp_path / name)) for name in ("whole", "run"))
    torch.testing.assert_close(one, both, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_signal_ends_all_at_one_step(start, tmp_path, sent, code, word):
    launcher = start(*LONG, *TWO, "--out", "run")
    wait_for_step(launcher, 3)
    pids = ranks(launcher)
    launcher.send_signal(sent)
    _, told = launcher.communicate(timeout=60)
    assert told == f"rnnkit: {word}; go on with: rnnkit run --resume run\n"
    assert launcher.returncode == code
    gone(pids.values())
    saved = CheckpointStore(tmp_path / "run" / "checkpoints").steps()
    assert saved == [curve(tmp_path / "run")[-1][0]]


@pytest.mark.slow
def test_a_signal_to_one_process_ends_all(start, tmp_path):
    launcher = start(*LONG, *TWO, "--out", "run")
    wait_for_step(launcher, 3)
    os.kill(ranks(launcher)[1], signal.SIGTERM)
    _, told = launcher.communicate(timeout=60)
    assert told == "rnnkit: terminated; go on with: rnnkit run --resume run\n"
    assert launcher.returncode == 143
    assert CheckpointStore(tmp_path / "run" / "checkpoints").steps()


@pytest.mark.slow
def test_a_launcher_that_is_gone_leaves_nobody_running(start, tmp_path):
    launcher = start(*LONG, *TWO, "--out", "run")
    wait_for_step(launcher, 3)
    pids = ranks(launcher)
    launcher.kill()
    gone(pids.values())
    assert CheckpointStore(tmp_path / "run" / "checkpoints").steps()


@pytest.mark.slow
def test_a_reader_that_leaves_makes_no_noise(start, tmp_path):
    launcher = start(*LONG, *TWO, "--out", "run")
    wait_for_step(launcher, 3)
    pids = ranks(launcher)
    launcher.stdout.close()
    assert launcher.wait(timeout=60) == 0
    assert launcher.stderr.read() == ""
    gone(pids.values())
    assert CheckpointStore(tmp_path / "run" / "checkpoints").steps()


@pytest.mark.slow
def test_one_that_does_not_answer(start, tmp_path):
    launcher = start(*LONG, *TWO, "--out", "run")
    wait_for_step(launcher, 3)
    pids = ranks(launcher)
    os.kill(pids[1], signal.SIGSTOP)
    _, told = launcher.communicate(timeout=100)
    assert told == "rnnkit: another process of this run has not answered for 20 s; go on with --resume\n"
    assert launcher.returncode == 8
    gone(pids.values())


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
def test_an_error_in_one_process_is_said_once(process, site, tmp_path, rank):
    """The rows of one process alone drive the loss away."""
    site.install("odd-task", task=ODD_TASK.format(rank=rank))
    result = process("run", "--task", "odd", "--steps", 9, *TWO, "--out", "run", "--quiet", path=site.path)
    assert result.returncode == 7
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("rnnkit: step 3: the loss is nan;")


ODD_TASK = """
import os

import torch

import rnnkit


class Odd(rnnkit.Task):
    name, metric_name, input_size, output_size, drawn = "odd", "MSE", 1, 1, 0

    def batch(self, size, generator):
        xs = torch.randn(5, size, 1, generator=generator)
        return rnnkit.Batch(xs, xs)

    def loss(self, outputs, targets):
        self.drawn += 1
        spoilt = self.drawn == 3 and os.environ["RANK"] == "{rank}"
        return (outputs - targets).square().mean() * (float("nan") if spoilt else 1)

    def metric(self, outputs, targets):
        return (outputs - targets).square().mean()


@rnnkit.hookimpl
def rnnkit_tasks():
    return [Odd]
"""


@pytest.mark.slow
def test_a_disk_that_is_full(process, tmp_path):
    import resource

    words = ("run", "--task", "adding", "--hidden", 16, "--seq-len", 5, "--steps", 30, "--quiet", *TWO, "--out", "run")
    result = process(*words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
    assert result.returncode == 8
    assert result.stderr.startswith("rnnkit: ")
    assert result.stderr.count("\n") == 1
    assert "cannot be written" in result.stderr


@pytest.mark.slow
def test_torchrun(tmp_path, process):
    words = ("run", "--task", "adding", "--hidden", 4, "--seq-len", 5, "--batch", 4, "--steps", 5, "--quiet")
    assert process(*words, *TWO, "--out", "own").returncode == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "rnnkit"]
    options = {"cwd": tmp_path, "env": {**os.environ, "OMP_NUM_THREADS": "1"}, "capture_output": True, "text": True}
    result = subprocess.run([*torchrun, *map(str, words), "--out", "run"], **options)
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "own" / "metrics.jsonl").read_bytes()
    result = subprocess.run([*torchrun, *map(str, words), "--out", "run"], **options)
    said = [line for line in result.stderr.splitlines() if line.startswith("rnnkit: ")]
    assert said == ["rnnkit: run exists already; give another folder with --out, or --resume it"]
    options["env"]["RNNKIT_RUN_NPROC"] = "3"  # torchrun takes --nproc for an option of its own
    result = subprocess.run([*torchrun, *map(str, words), "--out", "more"], **options)
    said = [line for line in result.stderr.splitlines() if line.startswith("rnnkit: ")]
    # The others say it too where torchrun is slow to end them.
    assert set(said) == {"rnnkit: --nproc is 3, but torchrun has started 2; leave --nproc away"}


def test_what_is_wrong_is_said_before_anything_starts(cli, text, tmp_path):
    (tmp_path / "there").mkdir()
    for words, line in [
        (("--out", tmp_path / "there"), "exists already"),
        (("--batch", 3), "a batch of 3 rows does not divide among 2 processes; give a multiple of 2"),
        (("--set", "hiden=3"), "did you mean 'hidden'"),
    ]:
        result = cli("run", *TWO, "--text", text, *words)
        assert result.exit_code == 2
        assert line in result.stderr
        assert result.stderr.count("\n") == 1


def test_the_settings_are_printed_once(cli):
    result = cli("run", *TWO, "--print-config")
    assert result.exit_code == 0
    assert result.stdout.count("cell =") == 1
    assert "nproc" not in result.stdout


def test_a_note_is_left_where_a_launcher_waits_for_it(monkeypatch, tmp_path):
    assert not noted("alone", 2)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(multiprocess, "FIRST_SPEAKS", 0.0)
    assert not noted("the first one has not said so", 2)
    assert noted("terminated", 143)
    assert not noted("diverged", 7)
    monkeypatch.setenv("RNNKIT_NOTES", str(tmp_path))
    assert noted("diverged", 7)
    assert json.loads((tmp_path / "1.json").read_text()) == ["diverged", 7]
    monkeypatch.setenv("RNNKIT_NOTES", str(tmp_path / "gone"))
    assert noted("nobody hears", 7)


def test_a_launcher_that_has_gone_is_missed(monkeypatch):
    assert left() == 0
    monkeypatch.setenv("RNNKIT_PARENT", str(os.getppid()))
    assert left() == 0
    monkeypatch.setenv("RNNKIT_PARENT", "1" if os.getppid() != 1 else "2")
    assert left() == 143
