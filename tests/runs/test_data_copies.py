"""Copies of a task's files in the run: what they are for, and when there are none."""

import gzip
import json
import os
import random
import shutil
from pathlib import Path

import pytest

import rnnkit
from rnnkit.errors import CheckpointError, DataError
from rnnkit.runs.data_copies import check_files, keep_copies, with_copies
from rnnkit.runs.settings import Settings

from ..slow_cases import slow_but

SMALL = ("--cell", "gru", "--hidden", 4, "--batch", 4, "--unroller", "loop", "--quiet", "--steps", 3)
TEXT = "the quick brown fox jumps over the lazy dog. " * 40
TABLE = "day,a,b\n" + "".join(f"2024-{1 + at // 28:02d}-{1 + at % 28:02d},{at % 7},{at % 5}\n" for at in range(140))
REVIEWS = "text,label\n" + "".join(
    f"{'warm' if at % 2 else 'cold'} tea {at},{'good' if at % 2 else 'bad'}\n" for at in range(40)
)


@pytest.fixture
def train(cli, tmp_path):
    """Write a file and train on it: train("chars", "text", "words.txt", TEXT) -> the run's folder and the file."""

    def run(task, option, name, content, *words):
        file = tmp_path / "mine" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        words = (*SMALL, "--task", task, "--set", f"task.{option}={file}", *words)
        done = cli("run", *words, "--out", tmp_path / "run")
        assert done.exit_code == 0, done.output
        return tmp_path / "run", file

    return run


KINDS = {
    "a text": ("chars", "text", "words.txt", TEXT, "--set", "task.seq_len=8"),
    "a table": ("csv", "file", "table.csv", TABLE, "--set", "task.window=4"),
    "labels": ("classify", "file", "reviews.csv", REVIEWS, "--set", "task.tokens=word"),
}


@pytest.mark.parametrize("kind", slow_but(["a table"], KINDS))
def test_all_commands_do_without_the_files(train, cli, kind, tmp_path):
    run, file = train(*KINDS[kind])
    before = cli("eval", run, "--split", "test", "--json").stdout
    whole = shutil.copytree(run, tmp_path / "whole")
    assert cli("run", "--resume", whole, "--steps", 5, "--quiet").exit_code == 0
    shutil.rmtree(file.parent)
    told = f"rnnkit: {file} is gone; its copy is read, {run / 'data' / KINDS[kind][1] / file.name}\n"
    after = cli("eval", run, "--split", "test", "--json")
    assert (after.stdout, after.stderr) == (before, told)
    resumed = cli("run", "--resume", run, "--steps", 5, "--quiet")
    assert resumed.exit_code == 0, resumed.output
    assert told in resumed.stderr
    assert (run / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert (run / "config.toml").read_bytes() == (whole / "config.toml").read_bytes()  # it says where the file was


@pytest.mark.slow
def test_a_page_is_made_without_the_files(train, cli, tmp_path):
    run, file = train(*KINDS["a text"])
    file.unlink()
    inspected = cli("inspect", run, "--out", tmp_path / "page")
    assert inspected.exit_code == 0, inspected.output
    assert f"{file} is gone; its copy is read" in inspected.stderr


def test_a_folder_is_copied_with_all_that_it_links_to(tmp_path, cli):
    mine, elsewhere = tmp_path / "mine", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (mine / "good").mkdir(parents=True)
    (mine / "bad").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(mine)  # a ring
    for at in range(12):
        (mine / "good" / f"{at}.txt").write_text(f"warm tea {at}")
        (elsewhere / f"{at}.txt").write_text(f"cold tea {at}")
    settings = Settings(task="classify", task_options={"file": str(mine)})
    run = tmp_path / "run"
    run.mkdir()
    keep_copies(run, settings)
    copy = run / "data" / "file" / "mine"
    names = {file.relative_to(copy).as_posix() for file in copy.rglob("*") if file.is_file()}
    assert {f"{kind}/{at}.txt" for kind in ("good", "bad") for at in range(12)} <= names
    assert len(names) < 50
    shutil.rmtree(mine)
    assert with_copies(run, settings).task_options["file"] == str(copy)


def test_a_file_that_is_there_is_read_itself(train):
    run, _ = train(*KINDS["a table"])
    settings = rnnkit.load(run).settings
    assert with_copies(run, settings) == settings
    assert check_files(run, settings) == []


def test_no_copy_where_none_is_wanted(train, cli):
    run, file = train(*KINDS["a table"], "--keep-data", 0)
    assert not (run / "data").exists()
    file.unlink()
    done = cli("eval", run)
    assert done.exit_code == 6
    assert f"{file}, the data of {run}, is gone; say where it is now with --set task.file=FILE" in done.stderr
    with pytest.raises(DataError, match="is gone"):
        rnnkit.load(run).predict()


def test_no_copy_of_what_is_large_and_a_line_says_so(tmp_path, cli):
    file = tmp_path / "long.txt"
    draw = random.Random(0)
    file.write_text("".join(chr(draw.randrange(32, 127)) for _ in range(1_500_000)))
    words = (*SMALL, "--task", "chars", "--text", file, "--steps", 1, "--keep-data", 1)
    run = tmp_path / "run"
    done = cli("run", *words, "--seq-len", 4, "--out", run)
    assert done.exit_code == 0
    assert done.stderr == (
        f"rnnkit: {run} keeps no copy of {file}: 1.4 MiB is more than keep_data, 1 MiB, and so it is packed; eval, "
        "predict without --data, inspect and --resume need it where it is, or where --set says; a larger --keep-data "
        "keeps it\n"
    )
    assert sorted(name for name in os.listdir(run) if "data" in name) == ["data.json"]
    file.unlink()
    for command in (("eval", run), ("run", "--resume", run)):
        gone = cli(*command)
        assert (gone.exit_code, gone.stderr.count("\n")) == (6, 1)
        assert (
            f"{file}, the data of {run}, is gone (no copy of it was kept: 1.4 MiB is more than keep_data,"
            in gone.stderr
        )


@pytest.mark.parametrize("kind", slow_but(["a table"], ["a table", "a text"]))
def test_a_copy_of_what_is_large_is_packed_and_does_as_well(train, cli, tmp_path, kind):
    task, option, name, content, *words = KINDS[kind]
    large = content + "# a remark\n" * 120_000 if kind == "a table" else content * 700
    run, file = train(task, option, name, large, *words, "--keep-data", 1)
    copy = run / "data" / option / f"{name}.gz"
    assert copy.stat().st_size < 2**20 < file.stat().st_size
    assert gzip.decompress(copy.read_bytes()) == file.read_bytes()
    before = cli("eval", run, "--json").stdout
    whole = shutil.copytree(run, tmp_path / "whole")
    assert cli("run", "--resume", whole, "--steps", 5, "--quiet").exit_code == 0
    file.unlink()
    after = cli("eval", run, "--json")
    assert (after.stdout, after.stderr) == (before, f"rnnkit: {file} is gone; its copy is read, {copy}\n")
    assert cli("run", "--resume", run, "--steps", 5, "--quiet").exit_code == 0
    assert (run / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_a_packed_copy_that_is_cut_off_is_refused(train, cli):
    run, file = train(*KINDS["a table"])
    copy = run / "data" / "file" / "table.csv"
    copy.with_name("table.csv.gz").write_bytes(gzip.compress(copy.read_bytes())[:-9])
    copy.unlink()
    file.unlink()
    done = cli("eval", run)
    assert (done.exit_code, done.stderr.count("\n")) == (6, 2)
    assert "table.csv.gz cannot be read: Compressed file ended before the end-of-stream" in done.stderr


def test_a_disk_that_takes_no_copy_ends_no_training(train, monkeypatch, caplog):
    def full(source, place):
        Path(place).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    run, file = train(*KINDS["a table"])
    assert f"{run} keeps no copy of {file}: No space left on device" in caplog.messages
    assert not [name for name in os.listdir(run) if "data" in name and name != "data.json"]


def test_a_run_that_was_killed_before_its_copy_gets_one(train, cli):
    run, _ = train(*KINDS["a table"])
    shutil.rmtree(run / "data")
    (run / ".data.1.partial" / "file").mkdir(parents=True)
    assert cli("run", "--resume", run, "--steps", 5, "--quiet").exit_code == 0
    assert (run / "data" / "file" / "table.csv").read_text() == TABLE
    assert not list(run.glob(".data*"))


def test_a_copy_that_was_changed_is_refused(train, cli):
    run, file = train(*KINDS["a table"])
    copy = run / "data" / "file" / "table.csv"
    copy.write_text(TABLE.replace(",3,", ",4,"))
    file.unlink()
    done = cli("eval", run)
    assert (done.exit_code, json.loads((run / "data.json").read_text())["task"]) == (5, "csv")
    assert done.stderr.splitlines()[-1] == f"rnnkit: {copy} is not what was written; put a copy back"
    with pytest.raises(CheckpointError, match="is not what was written"):
        rnnkit.load(run).predict()


def changed(content):
    """Return a file's content with other values in the same form: a task reads it, and as other data."""
    return content.replace("dog", "fox").replace("-01-01,0,0", "-01-01,5,0").replace("warm tea 1,", "warm tea one,")


@pytest.mark.parametrize("kind", slow_but(["a table", "labels"], KINDS))
def test_a_run_goes_on_with_its_copy_where_the_file_has_changed(train, cli, kind, tmp_path):
    run, file = train(*KINDS[kind])
    whole = shutil.copytree(run, tmp_path / "whole")
    assert cli("run", "--resume", whole, "--steps", 5, "--quiet").exit_code == 0
    task, option, name, content, *_ = KINDS[kind]
    file.write_text(changed(content))
    assert file.read_text() != content
    resumed = cli("run", "--resume", run, "--steps", 5, "--quiet")
    assert resumed.exit_code == 0, resumed.output
    told = (
        f"rnnkit: the data of task '{task}' have changed since {run} learnt from them; it goes on with its own copy, "
        f"{run / 'data' / option / name}"
    )
    assert resumed.stderr.splitlines().count(told) == 1
    assert (run / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert (run / "config.toml").read_bytes() == (whole / "config.toml").read_bytes()
    assert (run / "data" / option / name).read_text() == content


def test_a_file_that_lacks_what_was_learnt_from_is_no_loss(train, cli):
    run, file = train(*KINDS["a table"])
    file.write_text("day,c\n2024-01-01,1\n2024-01-02,2\n")
    resumed = cli("run", "--resume", run, "--steps", 5, "--quiet")
    assert resumed.exit_code == 0, resumed.output
    assert f"it goes on with its own copy, {run / 'data' / 'file' / 'table.csv'}" in resumed.stderr


@pytest.mark.parametrize("lack", ["no copy", "another copy", "a file that was given"])
def test_other_data_are_refused_where_no_copy_is_what_was_learnt_from(train, cli, lack):
    run, file = train(*KINDS["a table"])
    file.write_text(changed(TABLE))
    words = ()
    if lack == "no copy":
        shutil.rmtree(run / "data")
    elif lack == "another copy":
        (run / "data" / "file" / "table.csv").write_text(changed(TABLE))
    else:
        (file.parent / "later").mkdir()
        words = ("--set", f"task.file={file.rename(file.parent / 'later' / 'table.csv')}")
    done = cli("run", "--resume", run, "--steps", 5, "--quiet", *words)
    assert (done.exit_code, done.stderr.count("\n")) == (6, 1)
    assert "the data of task 'csv' have changed since" in done.stderr


@pytest.mark.parametrize("kind", slow_but(["a table", "labels"], KINDS))
def test_what_judges_a_changed_file_names_the_copy(train, cli, kind):
    run, file = train(*KINDS[kind])
    _, option, name, content, *_ = KINDS[kind]
    before = cli("eval", run, "--json").stdout
    file.write_text(changed(content))
    way = ("--set", f"task.{option}={run / 'data' / option / name}")
    for command in ["eval"] if kind == "a text" else ["eval", "predict"]:
        said = cli(command, run).stderr.splitlines()
        assert len([line for line in said if line.endswith(f" with {' '.join(way)}")]) == 1, said
        told = cli(command, run, *way)
        assert (told.exit_code, "have changed" in told.stderr) == (0, False), told.output
    assert cli("eval", run, "--json", *way).stdout == before
