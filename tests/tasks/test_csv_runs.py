"""Runs over a table: what is told as they begin, and what later data may not change."""

import json
import shutil

import pytest
import torch

import rnnkit
from rnnkit.errors import CheckpointError, DataError
from rnnkit.runs.folder import open_run

from .tables import day, table

SMALL = ("--task", "csv", "--cell", "gru", "--hidden", 4, "--steps", 3, "--batch", 4, "--set", "task.window=4")
CONTENT = table("date,flag,a,b", lambda row, x: f"{day(row)},{'yes' if row % 3 else 'no'},{x},{row % 7}")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(CONTENT)
    return path


@pytest.fixture
def run(file, cli, tmp_path):
    """Return the folder of a finished run over the table, and what it said on stderr."""
    done = cli("run", *SMALL, "--set", f"task.file={file}", "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    return tmp_path / "run"


def figures(cli, run, *words):
    done = cli("eval", run, "--json", *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), done.stderr


def longer(content, scale=1.0):
    """Return the table with as many rows more, of another scale."""
    more = table(None, lambda row, x: f"{day(row + 120)},no,{float(x) * scale},{row % 7}")
    return content + more


def test_the_line_comes_first_and_is_kept(file, cli, tmp_path):
    done = cli("run", *SMALL, "--set", f"task.file={file}", "--out", tmp_path / "run")
    first, *rest = done.stderr.splitlines()
    assert first == (
        "inputs: flag (yes/no), a, b; targets: a, b; time: date (1 day apart); left out: none; of the date: day of the "
        "week; names: line 1 (a word above dates); cells cut at each comma; rows: 84 train (to 2020-03-24), 18 "
        "validate (to 2020-04-11), 18 test (to 2020-04-29)"
    )
    assert all(line.startswith("step ") for line in rest)
    assert json.loads((tmp_path / "run" / "data.json").read_text())["summary"] == first
    quiet = cli("run", *SMALL, "--set", f"task.file={file}", "--quiet", "--out", tmp_path / "quiet")
    assert quiet.stderr == f"{first}\n"
    assert json.loads((tmp_path / "quiet" / "data.json").read_text())["summary"] == first


def test_json_stays_json(file, cli, tmp_path):
    done = cli("run", *SMALL, "--set", f"task.file={file}", "--json", "--out", tmp_path / "run")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events][:4] == ["data", "step", "step", "step"]
    assert events[0] == {"event": "data", "summary": done.stderr.rstrip("\n")}
    assert done.stderr.startswith("inputs: flag (yes/no), a, b; ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("scale", [1.0, 1000.0])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_rows_that_are_appended_change_nothing_and_are_told(run, file, cli, scale, split):
    before, said = figures(cli, run, "--split", split)
    assert said == ""
    file.write_text(longer(CONTENT, scale))
    after, said = figures(cli, run, "--split", split)
    assert after == before
    assert said == f"rnnkit: {file} has 120 row(s) more than when the run was made; they are left out\n"


def test_the_newest_rows_first_may_be_appended_too(file, cli, tmp_path):
    head, *lines = CONTENT.splitlines()
    file.write_text("\n".join([head, *lines[::-1]]))
    words = ("--set", f"task.file={file}", "--set", "task.order=newest-first", "--quiet")
    assert cli("run", *SMALL, *words, "--out", tmp_path / "run").exit_code == 0
    before, _ = figures(cli, tmp_path / "run")
    head, *lines = longer(CONTENT, 50.0).splitlines()
    file.write_text("\n".join([head, *lines[::-1]]))
    after, said = figures(cli, tmp_path / "run")
    assert after == before
    assert "120 row(s) more" in said


def test_another_scale_is_judged_by_the_one_that_was_kept(run, file, cli):
    before, _ = figures(cli, run)
    head, *lines = CONTENT.splitlines()
    cells = [line.split(",") for line in lines]
    file.write_text("\n".join([head, *(f"{d},{f},{float(a) * 10},{b}" for d, f, a, b in cells)]))
    task = open_run(run)[1]
    kept = rnnkit.tasks["csv"](file=str(file), window=4)
    assert float(task.scale[0]) == pytest.approx(float(kept.scale[0]) / 10, rel=1e-5)
    after, said = figures(cli, run)
    assert after["value"] > 10 * before["value"]
    assert said.startswith(
        f"rnnkit: the data of task 'csv' have changed since {run} learnt from them; they are judged by"
    )


def test_columns_in_another_order_and_new_ones_do_not_matter(run, file, cli):
    before = figures(cli, run)
    rows = [line.split(",") for line in CONTENT.splitlines()]
    file.write_text("\n".join(f"{b},{d},{'c' if d == 'date' else '$5'},{a},{f}" for d, f, a, b in rows))
    assert figures(cli, run) == before


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda text: text[: len(text) // 2].rpartition("\n")[0], 6, "row(s), 120 when the run was made"),
        (lambda text: text.replace("date,flag,a,b", "date,flag,c,b"), 6, "has no column 'a'"),
        (lambda text: "\n".join(line.rpartition(",")[0] for line in text.splitlines()), 6, "has no column 'b', which"),
        (
            lambda text: text.replace("2020-02-01,no,", "2020-02-01,no,x").replace(
                "2020-02-01,yes,", "2020-02-01,yes,x"
            ),
            6,
            "line 33",
        ),
        (lambda text: "date,flag,a,b\n" + "\n".join(text.splitlines()[:0:-1]), 6, "to 2020-01-01 in line 121; put the"),
        (lambda text: "", 6, "is empty"),
    ],
    ids=["shorter", "a column renamed", "a column gone", "no number", "turned round", "empty"],
)
def test_a_table_that_does_not_fit_any_more(run, file, cli, change, code, words):
    file.write_text(change(CONTENT))
    done = cli("eval", run)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert words in done.stderr
    assert str(file) in done.stderr


def test_row_numbers_that_count_down_where_they_did_not(file, cli, tmp_path):
    file.write_text(table("id,a", lambda row, x: f"{row},{x}"))
    assert cli("run", *SMALL, "--set", f"task.file={file}", "--out", tmp_path / "run").exit_code == 0
    head, *lines = file.read_text().splitlines()
    file.write_text("\n".join([head, *lines[::-1]]))
    done = cli("eval", tmp_path / "run")
    assert (done.exit_code, done.stdout) == (6, "")
    assert "column 'id' counts down, from 119 in line 2 to 0 in line 121" in done.stderr
    assert "put the rows in the order in which the run learnt from them" in done.stderr
    assert "give order" not in done.stderr


def test_a_table_that_has_moved(run, file, cli, tmp_path):
    before = figures(cli, run)
    exported = json.loads(cli("export", run, "--json").stdout)
    shutil.rmtree(run / "data")
    moved = file.rename(tmp_path / "moved.csv")
    gone = cli("eval", run)
    assert (gone.exit_code, gone.stderr.count("\n")) == (6, 1)
    assert f"{file}, the data of {run}, is gone; say where it is now with --set task.file=FILE" in gone.stderr
    assert figures(cli, run, "--set", f"task.file={moved}") == before
    assert figures(cli, run, "--set", f"file={moved}") == before
    again = cli("export", run, "--json", "--out", tmp_path / "again.pt2")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["inputs"] == exported["inputs"]
    _, task, model = open_run(run)
    about = {"rnnkit.json": ""}
    torch.export.load(tmp_path / "again.pt2", extra_files=about)
    assert json.loads(about["rnnkit.json"])["data"] == task.data_state()
    assert (task.columns, task.targets, model.layer.input_size) == (["flag", "a", "b"], ["a", "b"], 3 + 3)
    with pytest.raises(DataError, match="does not exist"):
        next(task.validation())


@pytest.mark.parametrize("appended", [False, True])
def test_a_run_goes_on_with_its_own_scale(run, file, cli, tmp_path, appended):
    whole = cli("run", *SMALL, "--steps", 6, "--set", f"task.file={file}", "--quiet", "--out", tmp_path / "whole")
    assert whole.exit_code == 0
    if appended:
        file.write_text(longer(CONTENT, 1000.0))
    done = cli("run", "--resume", run, "--steps", 6, "--quiet")
    assert done.exit_code == 0, done.output
    assert ("120 row(s) more" in done.stderr) == appended
    assert (run / "metrics.jsonl").read_bytes().splitlines()[3:5] == (
        (tmp_path / "whole" / "metrics.jsonl").read_bytes().splitlines()[3:5]
    )


def test_other_data_are_not_gone_on_with(run, file, cli):
    shutil.rmtree(run / "data")  # with the run's copy it would go on
    file.write_text(CONTENT.replace(",no,", ",no,1"))
    done = cli("run", "--resume", run, "--steps", 6, "--quiet")
    assert (done.exit_code, done.stderr.count("\n")) == (6, 1)
    assert "the data of task 'csv' have changed since" in done.stderr


def test_an_older_run_is_opened_with_a_line(run, cli):
    before, _ = figures(cli, run)
    (run / "data.json").unlink()
    after, said = figures(cli, run)
    assert after == before
    assert said.count("\n") == 1
    assert "has no data.json: what task 'csv' takes from its data (scale, columns or alphabet) is computed anew" in said


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("inputs"),
        lambda state: state["inputs"]["scale"].pop(),
        lambda state: state["targets"].update(scale=[0.0, 1.0]),
        lambda state: state["roles"].update(inputs=3),
        lambda state: state["roles"].update(other=3),
        lambda state: state.update(rows="many"),
        lambda state: state.update(rows=-1),
        lambda state: state.update(reading=[]),
    ],
    ids=["no scale", "too few", "a scale of 0", "no names", "another role", "no number", "below 0", "no reading"],
)
def test_a_state_that_is_none(run, change):
    from rnnkit.runs.data_record import DataRecord

    kept = DataRecord.read(run)
    change(kept.state)
    (run / "data.json").write_bytes(kept.to_json())
    with pytest.raises(CheckpointError, match=r"data\.json does not fit task 'csv'"):
        open_run(run)


@pytest.mark.parametrize("end", ["+01:00", "Z"])
def test_times_with_offsets_are_told_in_utc(tmp_path, cli, end):
    file = tmp_path / "table.csv"
    file.write_text(table("time,a", lambda row, x: f"2024-01-{1 + row // 24:02d}T{row % 24:02d}:00:00{end},{x}"))
    done = cli("run", *SMALL, "--set", f"task.file={file}", "--quiet", "--out", tmp_path / "run")
    assert "; times are taken in UTC; " in done.stderr
    zoned = cli("run", *SMALL, "--set", f"task.file={file}", "--set", "task.zone=Europe/Berlin", "--quiet")
    assert "; times have offsets, and parts of the date are those of Europe/Berlin (as asked); " in zoned.stderr
