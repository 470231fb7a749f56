"""`rnnkit inspect`: a page that stands alone, of a new cell or a run."""

import json
import re

import numpy as np
import pytest

from rnnkit.inspection.overview import QUESTIONS

from ..html_reader import Reader

TINY = ("--steps", 6, "--batch", 2, "--hidden", 4, "--input", 3)
FETCHES = re.compile(r"""(?:src|href)=["'](?!#|data:)|@import|url\((?!#)""")


def page_in(folder):
    return (folder / "index.html").read_text(encoding="utf-8")


def test_a_new_cell(cli, tmp_path):
    out = tmp_path / "page"
    result = cli("inspect", "--cell", "lstm", *TINY, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == list(QUESTIONS)
    assert "Gradient flow" in result.stdout
    assert result.stdout.endswith(f"page: {out / 'index.html'}\n")
    page = Reader(page_in(out))
    places = [known["id"] for tag, known in page.attributes if tag == "section"]
    assert len(places) == len(QUESTIONS)
    assert [known["href"] for tag, known in page.attributes if tag == "a"] == [f"#{place}" for place in places]
    assert [tag for tag, _ in page.attributes].count("svg") == len(QUESTIONS)
    assert page_in(out).count("<title>") == len(QUESTIONS) + 1  # every picture says what it shows
    assert not FETCHES.search(page_in(out))
    for place in places:
        assert (out / f"{place}.png").read_bytes().startswith(b"\x89PNG")
        assert (out / f"{place}.svg").read_text().startswith("<svg")
    content = json.loads((out / "inspection.json").read_text())
    assert content["inspections"][0]["kind"] == "gradient_flow"


def test_a_run_and_what_it_recorded(train, cli, lines, tmp_path):
    train("--task", "adding", "--steps", 4, "--inspect-every", 2)
    run = tmp_path / "run"
    result = cli("inspect", run, "--batch", 2, "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    *told, last = lines(result.stdout)
    assert last == {"event": "page", "path": str(run / "inspection" / "index.html")}
    assert len(told) == len(QUESTIONS) + 2
    assert [one["kind"] for one in told[-2:]] == ["flow_over_training", "gates_over_training"]
    assert "Saturated gates over training" in page_in(run / "inspection")
    again = cli("inspect", run, "--batch", 2, "--only", "flow", "--quiet")
    assert again.exit_code == 0, again.stderr
    assert "Lyapunov" not in page_in(run / "inspection")
    assert not (run / "inspection" / "lyapunov-exponents.svg").exists()


def test_rows_that_end_early_are_left_out_of_every_question(cli, lines, tmp_path):
    words = ("run", "--task", "parity", "--set", "task.train_len=9", "--set", "task.test_len=12", "--steps", 1)
    assert cli(*words, "--hidden", 4, "--batch", 2, "--quiet", "--out", tmp_path / "parity").exit_code == 0
    result = cli("inspect", tmp_path / "parity", "--batch", 6, "--only", "flow,gates,trajectory", "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    flow, _, trajectory, _ = lines(result.stdout)
    _, rows, _ = np.shape(trajectory["projections"])
    assert flow["notes"] == [f"{6 - rows} rows of the batch, shorter than {len(flow['lags'])} steps, left out."]


def test_a_text_of_ones_own(run, cli, lines):
    result = cli("inspect", run, "--text", "The for statement", "--only", "flow,saliency", "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    flow, saliency, _ = lines(result.stdout)
    assert len(flow["lags"]) == len("The for statement") - 1
    assert saliency["kind"] == "input_saliency"
    assert "".join(saliency["characters"]) == "The for statemen"  # the last one is what is guessed
    most = max(range(16), key=saliency["norms"].__getitem__)
    assert f"tep {most}, {saliency['characters'][most]!r}, " in saliency["reading"]


REFUSED = {
    "give either the folder of a run, or --cell NAME": ((), 2),
    "unknown cell 'lsmt'": (("--cell", "lsmt"), 2),
    "no question 'flwo' (did you mean 'flow'?)": (("--cell", "lstm", "--only", "flwo"), 2),
    "--text is for a run; leave it out": (("--cell", "lstm", "--text", "abc"), 2),
    "nowhere": (("nowhere",), 5),
    "has no option 'size'": (("--cell", "lstm", "--set", "cell.size=3"), 2),
    "rate of 'h' is 2; it must be a rate from 0 to 1": (("--cell", "zoneout(gru, rate=2)", "--only", "flow"), 2),
    "--only names no question": (("--cell", "lstm", "--only", ""), 2),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_wrong_has_one_line(cli, tmp_path, monkeypatch, sentence):
    monkeypatch.chdir(tmp_path)
    words, code = REFUSED[sentence]
    result = cli("inspect", *words)
    assert result.exit_code == code, result.stderr
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_data_that_have_changed_are_told(cli, tmp_path):
    file, run = tmp_path / "t.csv", tmp_path / "run"
    file.write_text("a\n" + "".join(f"{at * at % 17}\n" for at in range(200)))
    words = ("--task", "csv", "--set", f"task.file={file}", "--set", "task.window=4", "--unroller", "loop")
    assert cli("run", *words, "--steps", 1, "--hidden", 4, "--quiet", "--out", run).exit_code == 0
    look = ("inspect", run, "--batch", 2, "--only", "flow", "--quiet")
    assert cli(*look).stderr == ""
    file.write_text(file.read_text().replace("16", "15"))
    told = cli(*look)
    assert (told.exit_code, told.stderr.count("\n")) == (0, 1)
    assert f"the data of task 'csv' have changed since {run} learnt from them" in told.stderr


def test_options_of_a_cell_are_not_a_run_s(run, cli):
    result = cli("inspect", run, "--hidden", 3)
    assert (result.exit_code, result.stderr) == (2, "rnnkit: --hidden is for a new cell; leave it out\n")


def test_a_text_that_cannot_be(run, cli):
    assert "give at least three characters" in cli("inspect", run, "--text", "a").stderr
    strange = cli("inspect", run, "--text", "漢字漢字")
    assert strange.exit_code == 2
    assert strange.stderr.startswith("rnnkit: --text cannot be read: ")


def test_a_folder_of_something_else_is_left_alone(cli, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    result = cli("inspect", "--cell", "rnn", *TINY, "--out", tmp_path)
    assert result.exit_code == 2
    assert "exists already, and is no inspection" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_without_matplotlib_there_are_numbers(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("rnnkit.cli.commands.inspect.find_spec", lambda name: None)
    result = cli("inspect", "--cell", "rnn", *TINY, "--only", "flow", "--out", tmp_path / "page", "--quiet")
    assert result.exit_code == 0
    assert result.stderr == "Pictures need the extra plot: pip install 'rnnkit[plot]'.\n"
    assert "<svg" not in page_in(tmp_path / "page")
    assert {path.name for path in (tmp_path / "page").iterdir()} == {"index.html", "inspection.json"}
