"""`rnnkit predict`: forecasts as CSV with the table's dates and units, and what they are worth."""

import csv
import io
import json
import math
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

import rnnkit
from rnnkit.cli import main
from rnnkit.errors import UsageError

COLUMNS = ["time", "a_forecast", "a_lower", "a_upper", "a_actual"]


def row(at):
    return f"2024-01-{1 + at // 24:02d} {at % 24:02d}:00,{math.sin(at / 4):.4f},{at * at % 11}"


def table(rows):
    return "time,a,b\n" + "".join(f"{row(at)}\n" for at in rows)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with a run, called run, and its table."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "table.csv").write_text(table(range(200)))
    options = {"file": folder / "table.csv", "target": "a", "window": 4, "horizon": 2, "steps": "last"}
    words = ["run", "--task", "csv", "--cell", "gru", "--hidden", "4", "--steps", "3", "--batch", "4"]
    words += ["--unroller", "loop", "--quiet", "--out", str(folder / "run")]
    for name, value in options.items():
        words += ["--set", f"task.{name}={value}"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """Return a copy of the run that a test may change; its table lies where it was."""
    return shutil.copytree(trained / "run", tmp_path / "run")


@pytest.fixture
def new(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text(table(range(150, 190)))
    return path


def refused(result, code):
    assert result.exit_code == code
    assert result.stdout == ""
    assert re.fullmatch(r"rnnkit: .*\n", result.stderr)
    return result.stderr


def cells(text):
    return list(csv.reader(io.StringIO(text)))


def test_forecasts_to_stdout_and_what_they_are_worth_to_stderr(run, cli):
    result = cli("predict", run)
    assert result.exit_code == 0
    assert result.stdout == rnnkit.load(run).predict().to_csv()
    head, *rows = cells(result.stdout)
    assert head == COLUMNS
    assert len(rows) == 30 + 2
    assert [row[0] for row in rows[-3:]] == ["2024-01-09 07:00", "2024-01-09 08:00", "2024-01-09 09:00"]
    assert [row[4] for row in rows[-3:]] == [f"{math.sin(199 / 4):.4f}".rstrip("0"), "", ""]
    said = result.stderr.splitlines()
    assert re.split(r" {2,}", said[0]) == ["target", "method", "MAE", "RMSE", "coverage", "rows"]
    assert [re.split(r" {2,}", line)[1] for line in said[2:6]] == ["this run", "last value", "seasonal naive", "ridge"]
    assert "- season of seasonal naive: 24 rows, a day of rows 1 h apart" in said
    assert "- times beyond the last row go on in steps of 1 h" in said
    assert any(line.startswith("- bounds: forecast plus the 5 % and 95 % quantiles of the errors") for line in said)
    assert any(line.startswith("- this run does not beat ") for line in said)


def test_with_out_the_report_goes_to_stdout(run, new, cli, tmp_path):
    out = tmp_path / "forecast.csv"
    result = cli("predict", run, "--data", new, "--out", out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert out.read_text() == rnnkit.load(run).predict(new).to_csv()
    assert result.stdout.startswith("target ")
    assert result.stdout.endswith(f"\nsaved in {out}\n")
    again = cli("predict", run, "--data", new, "--out", out, "--quiet")
    assert (again.exit_code, again.output) == (0, "")


def test_out_may_be_a_pipe(run, new, cli, tmp_path):
    out, read = tmp_path / "pipe", []
    os.mkfifo(out)
    reader = threading.Thread(target=lambda: read.append(out.read_text()))
    reader.start()
    assert cli("predict", run, "--data", new, "--out", out).exit_code == 0
    reader.join()
    assert read == [rnnkit.load(run).predict(new).to_csv()]
    assert out.is_fifo()


def test_json(run, new, cli, lines):
    result = cli("predict", run, "--data", new, "--json", "--interval", 0.8)
    told = lines(result.stdout)
    prediction = rnnkit.load(run).predict(new, interval=0.8)
    assert result.stderr == ""
    assert [line for line in told if line["event"] == "row"] == [
        {"event": "row", **record} for record in prediction.records()
    ]
    assert [line["method"] for line in told if line["event"] == "error"] == [e.method for e in prediction.errors]
    assert told[-1] == {"event": "end", "interval": 0.8, "notes": list(prediction.notes)}
    assert {line["event"] for line in lines(cli("predict", run, "--data", new, "--json", "--quiet").stdout)} == {"row"}


def test_it_is_as_narrow_as_the_terminal(run, new):
    result = CliRunner(env={"COLUMNS": "60"}).invoke(main, ["predict", str(run), "--data", str(new)])
    assert result.exit_code == 0
    assert max(map(len, result.stderr.splitlines())) <= 60
    assert result.stdout == rnnkit.load(run).predict(new).to_csv()


@pytest.mark.parametrize(
    ("metrics", "told"),
    [((0.3, 0.2, 0.25), True), ((0.3, 0.25, 0.2), False), ((0.2,), False), ((0.3, 0.249, 0.25), False)],
)
def test_a_validation_that_was_better_is_told(run, new, cli, metrics, told):
    lines = [
        {"step": at + 1, "loss": 1.0, "metric": 1.0, "gradient_norm": 1.0, "tokens": 8, "lr": 0.1, "validation": v}
        for at, v in enumerate({"loss": metric, "metric": metric} for metric in metrics)
    ]
    (run / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    said = cli("predict", run, "--data", new, "--out", run / "f.csv")
    line = (
        "normalised MSE in validation: 0.2 at step 2, 0.25 at step 3, whose model this is; --best takes the better one"
    )
    assert (line in said.output, "--best takes" in said.output) == (told, told)
    assert "--best takes" not in cli("predict", run, "--data", new, "--quiet").output


def test_best_interval_and_season(run, new, cli):
    words = ("predict", run, "--data", new, "--best", "--interval", 0.5, "--season", 3)
    expected = rnnkit.load(run, best=True).predict(new, interval=0.5, season=3)
    result = cli(*words)
    assert result.stdout == expected.to_csv()
    assert "- season of seasonal naive: 3 row(s), as asked\n" in result.stderr


def test_a_table_that_is_gone_or_has_moved(trained, run, new, cli, tmp_path):
    config = run / "config.toml"
    config.write_text(config.read_text().replace(str(trained), str(tmp_path / "gone")))
    assert cli("predict", run, "--data", new).stdout == cli("predict", trained / "run", "--data", new).stdout
    copied = cli("predict", run)
    assert copied.stdout == cli("predict", trained / "run").stdout
    assert f"rnnkit: {tmp_path / 'gone' / 'table.csv'} is gone; its copy is read, {run / 'data'}" in copied.stderr
    shutil.rmtree(run / "data")
    line = refused(cli("predict", run), 6)
    assert f"{tmp_path / 'gone' / 'table.csv'}, the data of {run}, is gone; say where it is now with --set" in line
    for key in ("task.file", "file"):
        moved = cli("predict", run, "--set", f"{key}={trained / 'table.csv'}")
        assert moved.stdout == cli("predict", trained / "run").stdout


def test_rows_that_were_appended_are_left_out_and_it_is_told(trained, run, cli, tmp_path):
    longer = tmp_path / "longer.csv"
    longer.write_text(table(range(210)))
    result = cli("predict", run, "--set", f"file={longer}")
    assert result.stdout == cli("predict", trained / "run").stdout
    assert f"rnnkit: {longer} has 10 row(s) more than when the run was made; they are left out\n" in result.stderr


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_picture(run, new, cli, tmp_path, ending):
    plot = tmp_path / f"forecast.{ending}"
    result = cli("predict", run, "--data", new, "--plot", plot, "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")
    if ending == "png":
        assert plot.read_bytes().startswith(b"\x89PNG")
        return
    title = ElementTree.parse(plot).getroot().find("{http://www.w3.org/2000/svg}title")
    assert title.text.startswith("Forecasts of a from 2024-01-07 11:00 to 2024-01-08 23:00, 2 row(s) of them not yet")


def test_bad_options(run, new, trained, cli, tmp_path):
    for words, fault in {
        ("--interval", 0): "0.0 is not in the range 0<x<1",
        ("--interval", 90): "90.0 is not in the range 0<x<1",
        ("--season", 0): "0 is not in the range x>=1",
        ("--out", tmp_path): f"--out {tmp_path} is a folder; name a file",
        ("--out", tmp_path / "no" / "f.csv"): f"f.csv: there is no folder {tmp_path / 'no'}",
        ("--plot", "f.pdf"): "--plot f.pdf: it must end in .png or .svg",
        ("--out", new): f"--out {new} would write over {new}, which is read; name another file",
        ("--out", trained / "table.csv"): "which is read; name another file",
        ("--follow",): "--follow reads stdin and writes stdout; leave out --data",
        ("--set", "task.window=3"): "of a finished run only the place of its files can be given: task.file",
    }.items():
        before = new.read_text()
        assert fault in refused(cli("predict", run, "--data", new, *words), 2)
        assert new.read_text() == before


def test_what_is_the_run_s_own_is_not_written_over(run, new, cli, tmp_path):
    """Each file that a run makes, by its path, by a link, and through Python; beside them is room."""
    (tmp_path / "link").symlink_to(run)
    own = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert len(own) > 10
    for path in own:
        inside = path.relative_to(run)
        own_name = f"is the run's own {inside}, which would be lost; name another file"
        fault = own_name if len(inside.parts) == 1 else f"lies in {run / inside.parts[0]}, which is the run's own"
        for out in (path, tmp_path / "link" / inside, run / "checkpoints" / ".." / inside):
            line = refused(cli("predict", run, "--data", new, "--out", out), 2)
            assert line.startswith(f"rnnkit: --out {out} ")
            assert fault in line
    forecast = rnnkit.load(run).predict(new)
    with pytest.raises(UsageError, match=r"is the run's own data\.json, which would be lost; name"):
        forecast.to_csv(run / "data.json")
    for words in (
        ["predict", run, "--data", new, "--plot", run / "data" / "f.png"],
        ["predict", run, "--data", new, "--out", run / "inspections.jsonl"],
        ["export", run, "--out", run / "checkpoints" / "model.onnx"],
        ["inspect", run, "--out", run / "checkpoints" / "pages"],
    ):
        assert "the run's own" in refused(cli(*words), 2)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == own
    for _ in range(2):
        assert cli("predict", run, "--data", new, "--out", run / "forecast.csv").exit_code == 0


def test_bad_data(run, cli, tmp_path):
    for text, fault in {
        "": "new.csv is empty",
        "time,b\n2024-01-01,1\n2024-01-02,2\n": "new.csv has no column 'a', which the run reads; it has time, b; cells",
        table(range(3)): "new.csv has 3 row(s); the run forecasts from 4, so give at least as many",
        table(range(9)) + "2024-01-02,x,1\n": "line 11, column 'a': 'x' is not a finite number; correct it; cells",
        table(range(9, 0, -1)): "time column 'time' goes back",
        table(range(9)).replace(",", ";"): "new.csv has no column 'a', which the run reads; it has time;a;b",
    }.items():
        new = tmp_path / "new.csv"
        new.write_text(text)
        assert fault in refused(cli("predict", run, "--data", new, "--out", tmp_path / "f.csv"), 6)
        assert not (tmp_path / "f.csv").exists()
    assert "nowhere.csv does not exist" in refused(cli("predict", run, "--data", tmp_path / "nowhere.csv"), 6)


def test_bad_runs(trained, new, cli, train, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "damaged")
    assert "nowhere is not a folder" in refused(cli("predict", tmp_path / "nowhere"), 5)
    (run / "calibration.json").write_text("{}")
    assert "calibration.json is not what was written" in refused(cli("predict", run, "--data", new), 5)
    assert train("--task", "adding").exit_code == 0
    for words in ([], ["--follow"]):
        line = refused(cli("predict", tmp_path / "run", *words), 2)
        assert line.endswith("run is a run of task 'adding', which has nothing to predict; see `rnnkit eval`\n")


def following(run, *words):
    command = [sys.executable, "-m", "rnnkit", "predict", str(run), "--follow", *words]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, **pipes, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_follow_gives_what_the_whole_table_gives(run, new):
    result = CliRunner(env={"COLUMNS": None}).invoke(main, ["predict", str(run), "--follow"], input=new.read_text())
    assert result.exit_code == 0
    whole = cells(rnnkit.load(run).predict(new).to_csv())
    assert [line[:-1] for line in cells(result.stdout)] == [line[:-1] for line in whole]
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == [
        "times beyond the last row go on in steps of 1 h",
        "bounds",
    ]


def test_follow_json_and_quiet(run, new, lines):
    result = CliRunner().invoke(main, ["predict", str(run), "--follow", "--json", "--quiet"], input=new.read_text())
    assert result.stderr == ""
    told = lines(result.stdout)
    assert len(told) == 40 - 4 + 1
    assert list(told[0]) == ["event", *COLUMNS]


def test_follow_answers_each_row_at_once_and_ends_with_a_signal(run):
    with following(run) as process:
        process.stdin.write(table(range(4)))
        process.stdin.flush()
        assert process.stdout.readline() == ",".join(COLUMNS) + "\n"
        assert process.stdout.readline().startswith("2024-01-01 05:00,")
        assert not select.select([process.stdout], [], [], 0.05)[0]
        process.stdin.write(f"{row(4)}\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith("2024-01-01 06:00,")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert process.stderr.read().endswith("\nrnnkit: interrupted\n")


def test_a_line_without_end_is_refused(run, monkeypatch):
    monkeypatch.setattr("rnnkit.cli.commands.predict.LONGEST_LINE", 1000)
    result = CliRunner().invoke(main, ["predict", str(run), "--follow"], input=table([1]) + "0" * 2000)
    assert refused(result, 6).startswith("rnnkit: stdin, line 3 has more than 1,000 bytes; give a table")


@pytest.mark.slow
def test_who_reads_what_follows_may_leave(run):
    with following(run, "--quiet") as process:
        process.stdin.write(table(range(5)))
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdout.close()
        for at in range(5, 200):
            try:
                process.stdin.write(f"{row(at)}\n")
                process.stdin.flush()
            except BrokenPipeError:
                break
        with suppress(BrokenPipeError):
            process.stdin.close()
        assert process.wait(timeout=20) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "stdin has no line; give a table"),
        (table(range(3)).encode(), "stdin ended after 3 row(s); the run forecasts from 4"),
        (table(range(9)).encode() + b"2024,\xff,1\n", "stdin, line 11 is not UTF-8 text; convert it"),
        (table(range(9)).encode() + b"2024,inf,1\n", "stdin, line 11, column 'a': 'inf' is not a finite number"),
    ],
    ids=["nothing", "too few", "no UTF-8", "no number"],
)
def test_follow_refuses_in_a_line(run, text, fault):
    result = CliRunner().invoke(main, ["predict", str(run), "--follow", "--quiet"], input=text)
    assert result.exit_code == 6
    assert re.fullmatch(rf"rnnkit: {re.escape(fault)}.*\n", result.stderr)
