"""`rnnkit export`: a run's model as a file; the file is what the page says."""

import json

import onnx
import onnxruntime
import pytest
import torch

from rnnkit.runs.folder import open_run


def one_line(result, code):
    """Check the exit code and that stderr is one line of rnnkit's; give it."""
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("rnnkit: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_by_default_a_file_of_torchs_in_the_run(run, cli):
    result = cli("export", run)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "time x batch" in result.stdout
    assert result.stdout.splitlines()[-1].startswith(f"saved in {run / 'model.pt2'}, ")
    task, model = open_run(run)[1:]
    xs = task.prompt("The dog and the fox").unsqueeze(1)
    torch.testing.assert_close(torch.export.load(run / "model.pt2").module()(xs)[0], model.eval()(xs)[0])
    assert "exists already" in one_line(cli("export", run), 2)


@pytest.mark.slow
def test_the_best_one_in_place_of_the_newest(past_its_best, cli, tmp_path):
    run, path = past_its_best, tmp_path / "best.pt2"
    _, task, model = open_run(run, best=True)
    assert not torch.equal(model.readout.weight, open_run(run)[2].readout.weight)
    assert cli("export", run, "--best", "--device", "cpu", "--out", path).exit_code == 0
    xs = task.prompt("The dog and the fox").unsqueeze(1)
    torch.testing.assert_close(torch.export.load(path).module()(xs)[0], model.eval()(xs)[0])
    assert "'nowhere'" in one_line(cli("export", run, "--device", "nowhere", "--out", tmp_path / "no.pt2"), 2)


@pytest.mark.slow
def test_onnx_says_what_the_symbols_are(run, cli, lines, tmp_path):
    path = tmp_path / "step.onnx"
    result = cli("export", run, "--out", path, "--step", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    (told,) = lines(result.stdout)
    assert (told["path"], told["format"], told["bytes"]) == (str(path), "onnx", path.stat().st_size)
    assert [info["name"] for info in told["inputs"]] == ["input", "h_l0", "c_l0"]
    about = json.loads({entry.key: entry.value for entry in onnx.load(path).metadata_props}["rnnkit"])
    task, model = open_run(run)[1:]
    assert "".join(about["symbols"]) == about["data"]["alphabet"] == task.alphabet
    assert about["units"] is None
    assert (about["task"], about["cell"], about["inputs"]) == ("chars", "lstm", told["inputs"])
    session = onnxruntime.InferenceSession(path)
    state = {name: torch.zeros(1, 8).numpy() for name in about["initial_state"]}
    for x, y in zip(task.prompt("The dog"), model.eval()(task.prompt("The dog").unsqueeze(1))[0], strict=True):
        output, *after = session.run(None, {"input": x.view(1).numpy(), **state})
        state = dict(zip(state, after, strict=True))
        torch.testing.assert_close(torch.from_numpy(output), y.detach())


@pytest.mark.slow
def test_a_float64_run_that_has_no_text(train, cli, lines, tmp_path):
    assert train("--task", "adding", "--dtype", "float64", "--cell", "zoneout(gru, rate=0.2)").exit_code == 0
    (told,) = lines(cli("export", tmp_path / "run", "--state", "--json").stdout)
    assert {info["dtype"] for info in told["inputs"] + told["outputs"]} == {"float64"}
    assert told["difference"] < 1e-12


@pytest.mark.parametrize(
    ("words", "code", "fault"),
    [
        (("--format", "keras"), 2, "keras"),
        (("--format", "pt2", "--out", "model.onnx"), 2, "ends as a file of onnx"),
        (("--out", ".onnx"), 2, ".onnx is an ending without a name; put a name before it, such as model.onnx"),
        (("--out", "nowhere/model.pt2"), 8, "no folder nowhere"),
    ],
    ids=str,
)
def test_bad_options(run, cli, words, code, fault, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fault in one_line(cli("export", run, *words), code)


def test_without_the_extra(run, cli, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    assert "pip install 'rnnkit[onnx]'" in one_line(cli("export", run, "--format", "onnx"), 8)
    assert not (run / "model.onnx").exists()


def test_what_is_no_run(cli, tmp_path):
    assert "nothing" in one_line(cli("export", tmp_path / "nothing"), 5)


def test_of_many_columns_the_first_are_named_and_the_last(cli, tmp_path):
    rows = "".join(f"{row % 7 / 3:.2f},{'yes' if row % 5 else 'no'}\n" for row in range(200))
    (tmp_path / "t.csv").write_text(f"a,feast\n{rows}")
    words = ("--set", f"task.file={tmp_path / 't.csv'}", "--set", "task.known=feast", "--set", "task.window=3")
    words = (*words, "--set", "task.horizon=20", "--hidden", 2, "--steps", 1, "--unroller", "loop", "--quiet")
    done = cli("run", "--task", "csv", *words, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    said = " ".join(cli("export", tmp_path / "run").stdout.split())
    assert "a; feast; feast, 1 row(s) ahead; " in said
    assert "feast, 9 row(s) ahead; ... 10 more ...; feast, 20 row(s) ahead" in said
    assert "a, 11 row(s) ahead; ... 8 more ...; a, 20 row(s) ahead" in said
