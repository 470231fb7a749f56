"""The command line in real processes: start-up, signals, pipes, a full disk."""

import json
import os
import resource
import signal
import subprocess
import sys

import pytest

import rnnkit

LONG = ("run", "--task", "adding", "--steps", 1_000_000, "--hidden", 4, "--seq-len", 5, "--json")
SMALL = ("run", "--task", "adding", "--hidden", 4, "--seq-len", 5, "--batch", 2, "--quiet")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_answers_in_no_time(process, option):
    def seconds():
        """Of the processor: how long it takes otherwise depends on what else the machine does."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert process(option).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.6  # torch alone takes more than a second


def packages_of(words, folder=None):
    """Return the packages that a command imports."""
    probe = (
        "import sys\nfrom rnnkit.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=folder)
    return {name.split(".")[0] for name in result.stderr.split()}


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"]], ids=" ".join)
def test_start_up_imports_neither_torch_nor_a_plugin(words):
    imported = packages_of(words)
    assert "click" in imported
    assert imported.isdisjoint({"torch", "numpy", "rnnkit_cells", "rnnkit_unrollers", "rnnkit_tasks"})


@pytest.mark.parametrize("unroller", ["auto", "loop"])
def test_a_run_on_a_cpu_does_without_triton(tmp_path, unroller):
    words = [*map(str, SMALL), "--device", "cpu", "--steps", "2", "--unroller", unroller, "--out", "run"]
    imported = packages_of(words, tmp_path)
    assert "torch" in imported
    assert imported.isdisjoint({"triton", "sympy", "matplotlib"})


def test_python_m(process):
    result = process("--version")
    assert result.stdout == f"rnnkit {rnnkit.__version__}\n"
    assert process("--help").stdout.startswith("Usage: rnnkit [OPTIONS] COMMAND")


def start(folder, *words):
    command = [sys.executable, "-m", "rnnkit", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, text=True, **pipes)


@pytest.mark.parametrize(
    ("sent", "code", "line"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
    ],
    ids=["SIGINT", "SIGTERM"],
)
@pytest.mark.slow  # so does tests/reliability/test_signals.py
def test_signals_in_mid_run(tmp_path, sent, code, line):
    with start(tmp_path, *LONG, "--out", "run") as running:
        first = running.stdout.readline()
        running.send_signal(sent)
        told, error = running.communicate(timeout=10)
    assert running.returncode == code
    assert error == f"rnnkit: {line}; go on with: rnnkit run --resume run\n"
    steps = [json.loads(line)["step"] for line in [first, *told.splitlines()]]
    assert steps == list(range(1, len(steps) + 1))
    left = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert left == steps
    assert (tmp_path / "run" / "checkpoints" / f"step-{steps[-1]:09d}").is_dir()


@pytest.mark.slow  # so do the pipes of test_streams.py
def test_a_reader_that_leaves_makes_no_noise(tmp_path):
    with start(tmp_path, *LONG, "--out", "run") as running:
        assert json.loads(running.stdout.readline())["step"] == 1
        running.stdout.close()
        assert running.wait(timeout=10) == 0
        assert running.stderr.read() == ""
    assert any((tmp_path / "run" / "checkpoints").iterdir())


@pytest.mark.slow  # so does tests/reliability/test_resources.py, with more of them
def test_a_full_disk(process, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    result = process(*SMALL, "--hidden", 16, "--steps", 30, "--out", "run", preexec_fn=limit)
    assert result.returncode == 8
    assert result.stderr.startswith("rnnkit: ")
    assert result.stderr.count("\n") == 1
    assert "cannot be written" in result.stderr
    assert os.listdir(tmp_path / "run" / "checkpoints") == []


@pytest.mark.slow  # tests/reliability/test_seeds.py holds them to that too
def test_two_processes_give_the_same_bits(process, tmp_path):
    left = []
    for name in ("first", "second"):
        assert process(*SMALL, "--steps", 5, "--out", name).returncode == 0
        checkpoint = tmp_path / name / "checkpoints" / "step-000000005"
        left.append([(checkpoint / "model.safetensors").read_bytes(), (tmp_path / name / "metrics.jsonl").read_bytes()])
    assert left[0] == left[1]
