"""`rnnkit predict` of runs that give labels: to sequences, and to steps."""

import csv
import io
import re

import pytest
from click.testing import CliRunner

import rnnkit
from rnnkit.cli import main
from rnnkit.runs.export_description import describe_run

from ..tasks.labelled_files import conll, table, texts, write_folder

SMALL = ["--cell", "gru", "--hidden", "4", "--batch", "8", "--unroller", "loop", "--quiet"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with runs called classify and tag, whose files are gone, and files like these."""
    folder = tmp_path_factory.mktemp("trained")
    for task, name, content in (("classify", "reviews.csv", table(texts())), ("tag", "names.conll", conll())):
        (folder / name).write_text(content)
        words = ["run", "--task", task, *SMALL, "--steps", "30", "--lr", "0.05", "--keep-data", "0"]
        words += ["--set", f"task.file={folder / name}", "--out", str(folder / task)]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        (folder / name).rename(folder / f"new-{name}")
    return folder


@pytest.fixture(params=["classify", "tag"])
def run(request, trained):
    """Return the folder of a run, and a file like its own."""
    return trained / request.param, next(trained.glob("new-*.csv" if request.param == "classify" else "new-*.conll"))


def test_rows_to_stdout_and_figures_to_stderr(run, cli):
    path, new = run
    result = cli("predict", path, "--data", new)
    assert result.exit_code == 0
    assert result.stdout == rnnkit.load(path).predict(new).to_csv()
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == (40 if path.name == "classify" else sum(map(bool, map(str.strip, conll().splitlines()))))
    assert {"file", "line", "label", "probability", "actual"} <= rows[0].keys()
    accuracy = sum(row["label"] == row["actual"] for row in rows) / len(rows)
    cells = [re.split(r" {2,}", line) for line in result.stderr.splitlines()]
    assert cells[0][:3] == ["label", "method", "accuracy"]
    assert cells[2][:2] == ["(all)", "this run"]
    assert float(cells[2][2]) == pytest.approx(accuracy, abs=1e-4)
    assert cells[3][1] == "majority label"
    assert any(
        line.startswith(f"- {len(rows)} se" if path.name == "classify" else f"- {len(rows)} st")
        for line in result.stderr.splitlines()
    )


def test_json(run, cli, lines):
    path, new = run
    told = lines(cli("predict", path, "--data", new, "--json").stdout)
    events = [line["event"] for line in told]
    prediction = rnnkit.load(path).predict(new)
    assert events == ["row"] * len(prediction.actual) + ["figure"] * len(prediction.figures()) + ["end"]
    assert told[-1].keys() == {"event", "notes"}
    assert told[-1]["notes"] == list(prediction.notes)


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_picture_has_words_for_it(run, cli, tmp_path, ending):
    pytest.importorskip("matplotlib")
    path, new = run
    picture = tmp_path / f"matrix.{ending}"
    result = cli("predict", path, "--data", new, "--out", tmp_path / "labels.csv", "--plot", picture)
    assert result.exit_code == 0
    assert b"Confusion matrix of " in picture.read_bytes()


@pytest.mark.parametrize("words", [["--season", 3], ["--interval", 0.5], ["--follow"]])
def test_what_is_of_forecasts_is_refused(run, cli, words):
    path, new = run
    result = cli("predict", path, *([] if words == ["--follow"] else ["--data", new]), *words)
    assert result.exit_code == 2
    assert re.fullmatch(r"rnnkit: .*(leave it out|give --data FILE)\n", result.stderr)


def test_the_part_kept_for_a_test_needs_the_file(run, cli):
    path, new = run
    result = cli("predict", path)
    assert result.exit_code == 6
    assert "is gone; say where it is now with --set task.file=FILE" in result.stderr
    found = cli("predict", path, "--set", f"task.file={new}")
    assert found.exit_code == 0
    evaluated = cli("eval", path, "--split", "test", "--set", f"task.file={new}")
    accuracy = re.search(r"\(this run\) .* ([\d.]+)\n", evaluated.stdout)[1]
    assert re.search(rf"\(all\) +this run +{float(accuracy):.4g}", found.stderr)


def test_a_file_of_a_folder_that_is_read_is_not_written_over(trained, cli, tmp_path):
    folder = write_folder(tmp_path / "folder", texts())
    text = folder / "good" / "001.txt"
    result = cli("predict", trained / "classify", "--data", folder, "--out", text)
    assert result.exit_code == 2
    assert "would write over" in result.stderr
    assert text.read_text() == texts()[1][0]
    out = folder / "labels.csv"
    assert cli("predict", trained / "classify", "--data", folder, "--out", out).exit_code == 0
    assert out.exists()


def test_an_exported_model_of_texts_comes_with_its_words_and_labels(trained):
    run = rnnkit.load(trained / "classify")
    told = describe_run(run.path, run.settings, run.task)["data"]["learnt"]
    assert told["labels"] == ["bad", "good"]
    assert "w" in told["vocabulary"]["symbols"]
