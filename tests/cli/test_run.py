"""`rnnkit run`: what it prints and what it leaves behind."""

import json
import os
import re
import shutil
import signal
import tomllib

import pytest
import torch
from safetensors.torch import load_file

import rnnkit
from rnnkit.runs.folder import open_run

from ..core_cells import TAKING_ALL

ADDING = ("--task", "adding", "--cell", "gru")


WEIGHTS = "checkpoints/step-000000003/model.safetensors"


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_report_has_figures_sample_and_gradients(train, text):
    result = train("--text", text)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.startswith("lstm on chars, unroller ")
    for figure in ("bits per character", "lstm (this run)", "order-3 n-gram", "order-4 n-gram"):
        assert figure in result.stdout
    assert "a sample of its text" in result.stdout
    table = result.stdout.split("\ngradients of ")[1]
    rows = {name: float(norm) for name, norm in re.findall(r"^(\S+) +(\d\.\d+e[-+]\d+)$", table, re.MULTILINE)}
    parameters = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    expected = ["input", "h0", "c0", "embedding.weight", *(f"layer.{name}" for name in parameters)]
    assert list(rows) == [*expected, "readout.weight", "readout.bias"]
    assert all(norm > 0 for norm in rows.values())


def test_progress_goes_to_stderr(cli, tmp_path):
    words = ("--task", "adding", "--seq-len", 4, "--hidden", 4, "--steps", 3, "--out", tmp_path / "run")
    result = cli("run", *words)
    assert result.exit_code == 0
    assert [line.split("  ")[0] for line in result.stderr.splitlines()] == ["step 1/3", "step 2/3", "step 3/3"]
    assert all("MSE" in line and "tokens/s" in line and "left" in line for line in result.stderr.splitlines())
    assert "step 1/3" not in result.stdout


def test_json_lines_are_the_same_told_to_programs(train, text, lines):
    result = train("--text", text, "--json")
    assert result.exit_code == 0
    assert result.stderr == ""
    told = lines(result.stdout)
    assert [line["event"] for line in told] == ["step"] * 3 + ["validation", "sample", "gradients", "end"]
    steps, (validation, sample, gradients, end) = told[:3], told[3:]
    assert [line["step"] for line in steps] == [1, 2, 3]
    assert all(line["loss"] > 0 and line["gradient_norm"] > 0 for line in steps)
    assert [line["tokens"] for line in steps] == [32, 64, 96]
    assert validation["metric"] == "bits per character"
    assert validation["value"] == pytest.approx(steps[-1]["validation"]["metric"])
    assert set(validation["baselines"]) == {"order-3 n-gram", "order-4 n-gram"}
    assert len(sample["text"]) == 400
    assert set(sample["text"]) <= set(text.read_text())
    assert {"input", "h0", "c0", "layer.weight_hh_l0", "readout.bias"} <= set(gradients["norms"])
    assert end["steps"] == 3
    assert end["folder"].endswith("run")


def test_a_task_without_text_has_no_sample(train, lines):
    events = [line["event"] for line in lines(train(*ADDING, "--json").stdout)]
    assert events == ["step", "step", "step", "validation", "gradients", "end"]


def test_further_figures_are_told_with_the_validation(cli, lines, tmp_path):
    small = ("--steps", 1, "--hidden", 4, "--batch", 2, "--quiet", "--json")
    told = lines(cli("run", "--task", "parity", *small, "--out", tmp_path / "run").stdout)
    _, task, model = open_run(tmp_path / "run")
    found = [line["further"] for line in told if "further" in line]
    assert found == [task.further_figures(model)]
    assert found[0]


def test_folder(run, text, lines):
    assert set(files(run)) == {
        "config.toml",
        "data.json",
        "data/text/text.txt",
        "env.json",
        "lock",
        "metrics.jsonl",
        "times.jsonl",
        WEIGHTS,
        "checkpoints/step-000000003/training.safetensors",
        "checkpoints/step-000000003/manifest.json",
    }
    config = tomllib.loads((run / "config.toml").read_text())
    assert config["cell"] == "lstm"
    assert config["hidden"] == 8
    assert config["task_options"] == {"text": str(text), "seq_len": 16}
    records = lines((run / "metrics.jsonl").read_text())
    assert [record["step"] for record in records] == [1, 2, 3]
    assert ["validation" in record for record in records] == [False, False, True]
    times = lines((run / "times.jsonl").read_text())
    assert [time["step"] for time in times] == [1, 2, 3]
    assert 0 < times[0]["seconds"] < times[1]["seconds"] < times[2]["seconds"]
    (environment,) = lines("".join((run / "env.json").read_text().split()))
    assert environment["threads"] == 1
    assert load_file(run / WEIGHTS)["layer.weight_hh_l0"].shape == (32, 8)


def test_default_folder_is_named_after_task_and_cell(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        words = (*ADDING, "--steps", 1, "--hidden", 2, "--seq-len", 2, "--quiet")
        assert cli("run", *words).exit_code == 0
    first, second = sorted((tmp_path / "runs").iterdir())
    assert first.name.startswith("adding-gru-")
    assert files(first).keys() == files(second).keys()


@pytest.mark.parametrize("content", ["an empty folder", "somebody's folder", "a file"])
def test_what_exists_is_refused_and_untouched(train, tmp_path, content):
    out = tmp_path / "run"
    if content == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
    if content == "somebody's folder":
        (out / "metrics.jsonl").write_text("mine")
    before = files(tmp_path)
    result = train(*ADDING)
    assert result.exit_code == 2
    assert result.stderr == f"rnnkit: {out} exists already; give another folder with --out, or --resume it\n"
    assert files(tmp_path) == before


def test_a_finished_run_is_refused_and_untouched(run, train, text):
    before = files(run)
    assert train("--text", text).exit_code == 2
    assert files(run) == before


def test_the_same_seed_gives_the_same_bits(cli, tmp_path, text):
    def run(name, seed):
        words = ("--text", text, "--steps", 3, "--hidden", 8, "--batch", 2, "--seq-len", 16, "--quiet")
        assert cli("run", *words, "--seed", seed, "--out", tmp_path / name).exit_code == 0
        left = files(tmp_path / name)
        return left["metrics.jsonl"], left[WEIGHTS]

    first = run("first", 7)
    assert run("again", 7) == first
    metrics, weights = run("other", 8)
    assert metrics != first[0]
    assert weights != first[1]


@pytest.mark.parametrize("unroller", [*TAKING_ALL, "auto"])
def test_every_unroller_trains_to_the_same_numbers(train, lines, unroller):
    told = lines(train(*ADDING, "--unroller", unroller, "--seed", 3, "--json").stdout)
    reference = rnnkit.tasks["adding"](seq_len=16)
    assert told[3]["value"] > 0
    assert told[3]["baselines"] == reference.baselines()
    assert [line["loss"] for line in told[:3]] == pytest.approx(losses_by_loop(), rel=1e-5)


def losses_by_loop():
    """Train as the command does, with the loop, through the public names."""
    torch.manual_seed(3)
    task = rnnkit.tasks["adding"](seq_len=16)
    model = rnnkit.Model(task, "gru", 8, unroller="loop")
    settings = {"steps": 3, "batch_size": 2, "lr": task.defaults["lr"], "seed": 3}
    return [record.loss for record in rnnkit.train(model, task, **settings)]


@pytest.mark.parametrize(
    ("words", "where", "value"),
    [
        (("--layers", 2), ("layers",), 2),
        (("--tbptt", "4,8"), ("tbptt",), [4, 8]),
        (("--dtype", "float64"), ("dtype",), "float64"),
        (("--optimizer", "sgd"), ("optimizer",), "sgd"),
        (("--set", "cell.bias=false"), ("cell_options", "bias"), False),
        (("--unroller", "checkpoint", "--set", "unroller.segment=2"), ("unroller_options", "segment"), 2),
        (("--set", "task.seq_len=12"), ("task_options", "seq_len"), 16),
        (("--lr", "0.5"), ("lr",), 0.5),
    ],
    ids=str,
)
def test_settings_reach_the_run_and_its_folder(train, tmp_path, words, where, value):
    assert train(*ADDING, *words).exit_code == 0
    found = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    for key in where:
        found = found[key]
    assert found == value


def test_options_shape_the_model(train, tmp_path):
    assert train(*ADDING, "--layers", 2, "--dtype", "float64", "--set", "cell.bias=false").exit_code == 0
    weights = load_file(tmp_path / "run" / WEIGHTS)
    assert {name for name in weights if name.startswith("layer.")} == {
        f"layer.weight_{kind}_l{layer}" for kind in ("ih", "hh") for layer in (0, 1)
    }
    assert {str(tensor.dtype) for tensor in weights.values()} == {"torch.float64"}


@pytest.mark.parametrize("task", rnnkit.tasks)
def test_every_task_trains(cli, tmp_path, text, task):
    words = {
        "chars": ("--text", text, "--seq-len", 16),
        "adding": ("--seq-len", 4),
        "copy": ("--seq-len", 3),
        "csv": ("--set", "task.window=5"),
    }
    small = ("--steps", 2, "--hidden", 4, "--batch", 2, "--quiet", "--out", tmp_path / "run")
    result = cli("run", "--task", task, *words.get(task, ()), *small)
    assert result.exit_code == 0
    assert rnnkit.tasks[task].metric_name in result.stdout


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
def test_line_ends_and_byte_order_mark_do_not_matter(train, tmp_path, lines, newline, mark):
    path = tmp_path / "odd.txt"
    path.write_bytes(mark + f"Zürich, früh am Tag.{newline}".encode() * 150)
    told = lines(train("--text", path, "--json").stdout)
    plain = tmp_path / "plain.txt"
    plain.write_bytes("Zürich, früh am Tag.\n".encode() * 150)
    task = rnnkit.tasks["chars"](text=str(plain), seq_len=16)
    assert rnnkit.tasks["chars"](text=str(path), seq_len=16).text == task.text
    assert told[3]["baselines"] == task.baselines()


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")], ids=str
)
def test_a_signal_is_answered_at_the_end_of_the_step(train, tmp_path, monkeypatch, number, code, word):
    """Python drops what a handler raises in a finaliser; so the loop itself looks, saves, and ends."""
    monkeypatch.setattr("rnnkit.cli.commands.run.shown", sent_at_step_two(number))
    result = train("--steps", 5, "--json")
    assert result.exit_code == code
    assert [json.loads(line)["step"] for line in result.stdout.splitlines()] == [1, 2]
    run = tmp_path / "run"
    assert result.stderr == f"rnnkit: {word}; go on with: rnnkit run --resume {run}\n"
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-000000002"]


def sent_at_step_two(number):
    def shown(records, task, steps, quiet):
        for record in records:
            if record.step == 2:
                os.kill(os.getpid(), number)
            yield record

    return shown


def test_data_that_changed_are_noticed_on_resume(run, cli, text):
    shutil.rmtree(run / "data")  # with the run's copy it would go on
    text.write_text(text.read_text().replace("quick", "kciuq"), encoding="utf-8")
    result = cli("run", "--resume", run, "--steps", 5, "--quiet")
    assert result.exit_code == 6
    assert "the data of task 'chars' have changed since " in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.early
def test_what_takes_more_than_the_limit_is_refused_with_what_fits(cli, tmp_path):
    words = ("run", "--task", "adding", "--seq-len", 800, "--hidden", 32, "--steps", 2, "--out", tmp_path / "run")
    result = cli(*words, "--memory-limit", "16MiB")
    assert result.exit_code == 8
    assert re.fullmatch(r"rnnkit: full BPTT over T = 800 steps of 32 rows needs about .*\n", result.stderr)
    assert "more than --memory-limit 16" in result.stderr
    assert not (tmp_path / "run").exists()
