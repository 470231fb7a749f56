"""`rnnkit eval`: the figures of a trained model on what is held out, as Python gives them."""

import re

from rnnkit.runs.folder import open_run
from rnnkit.training.evaluation import Evaluation, evaluate


def refused(result, code):
    assert result.exit_code == code
    assert result.stdout == ""
    assert re.fullmatch(r"rnnkit: .*\n", result.stderr)
    return result.stderr


def test_validation_beside_the_baselines(run, cli, lines):
    _, task, model = open_run(run)
    expected = evaluate(model, task)
    (told,) = lines(cli("eval", run, "--json").stdout)
    assert told == {
        "folder": str(run),
        "cell": "lstm",
        "task": "chars",
        "split": "validation",
        "loss": expected.loss,
        "metric": "bits per character",
        "value": expected.metric,
        "baselines": task.baselines(),
        "further": {},
    }
    result = cli("eval", run)
    assert result.exit_code == 0
    assert result.stderr == ""
    shown = [re.split(r" {2,}", line.strip()) for line in result.stdout.splitlines()]
    assert shown[0] == ["validation", "loss", "bits per character"]
    assert shown[2] == ["lstm (this run)", f"{expected.loss:.4f}", f"{expected.metric:.4f}"]
    assert shown[3:] == [[name, f"{value:.4f}"] for name, value in task.baselines().items()]


def test_further_figures_of_the_validation(cli, lines, tmp_path):
    small = ("--steps", 1, "--hidden", 4, "--batch", 2, "--quiet")
    ended = cli("run", "--task", "parity", *small, "--out", tmp_path / "run")
    assert ended.exit_code == 0
    _, task, model = open_run(tmp_path / "run")
    expected = task.further_figures(model)
    assert len(expected) > 1
    (told,) = lines(cli("eval", tmp_path / "run", "--json").stdout)
    assert told["further"] == expected
    for text in (cli("eval", tmp_path / "run").stdout, ended.stdout):
        shown = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]
        assert shown.count(["further figures", "value"]) == 1
        at = shown.index(["further figures", "value"]) + 2
        assert shown[at : at + len(expected)] == [[name, f"{value:.4f}"] for name, value in expected.items()]


def test_it_is_what_the_run_told_at_its_end(train, cli, lines, tmp_path):
    told = lines(train("--task", "adding", "--json").stdout)
    at_the_end = next(line for line in told if line["event"] == "validation")
    (found,) = lines(cli("eval", tmp_path / "run", "--json").stdout)
    assert (found["value"], found["loss"]) == (at_the_end["value"], at_the_end["loss"])
    assert found["baselines"] == {"predicting 1": 1 / 6}


def test_the_best_one_in_place_of_the_newest(train, cli, lines, tmp_path):
    told = lines(train("--task", "adding", "--lr", 0.5, "--steps", 12, "--validate-every", 1, "--json").stdout)
    found = [line["validation"]["metric"] for line in told if line.get("validation")]
    best, newest = (
        lines(cli("eval", tmp_path / "run", *words, "--device", "cpu", "--json").stdout)[0]["value"]
        for words in (["--best"], [])
    )
    assert (best, newest) == (min(found), found[-1])
    assert best < newest


def test_the_test_split(run, cli, lines):
    _, task, model = open_run(run)
    expected = evaluate(model, task, task.test())
    assert expected != evaluate(model, task)
    (told,) = lines(cli("eval", run, "--split", "test", "--json").stdout)
    assert (told["split"], told["loss"], told["value"], told["baselines"]) == ("test", *expected, {})
    shown = cli("eval", run, "--split", "test").stdout
    assert shown.startswith("test ")
    assert f"{expected.metric:.4f}" in shown
    assert "n-gram" not in shown


def test_a_task_that_keeps_no_test(train, cli, tmp_path):
    assert train("--task", "adding").exit_code == 0
    line = refused(cli("eval", tmp_path / "run", "--split", "test"), 2)
    assert line == "rnnkit: task 'adding' keeps no batches for a test; give --split validation\n"


def test_what_is_no_run(cli, tmp_path):
    assert "nowhere is not a folder" in refused(cli("eval", tmp_path / "nowhere"), 5)


def test_an_unknown_split(run, cli):
    assert "'train' is not one of 'validation', 'test'" in refused(cli("eval", run, "--split", "train"), 2)


def test_a_model_that_gives_no_finite_figure(run, cli, monkeypatch):
    monkeypatch.setattr("rnnkit.training.evaluation.evaluate", lambda *_: Evaluation(float("nan"), 1.0))
    assert f"{run}: the validation loss is nan" in refused(cli("eval", run), 7)
