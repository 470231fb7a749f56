"""What a run wrote down is read as it stands; a line cut off is left out, a damaged one is named."""

import json
import math
import os

import numpy as np
import pytest

from rnnkit.errors import CheckpointError
from rnnkit.runs.history import read_history

NAN = math.nan


def append(path, text):
    with path.open("a") as file:
        file.write(text)


def equal(array, expected):
    return np.array_equal(array, np.array(expected, array.dtype), equal_nan=array.dtype.kind == "f")


def test_everything_is_read(past_run):
    history = read_history(past_run("mine", [4.0, 3.0, 2.5], {2: 3.5, 3: 2.75}, [0.5, 1.0, 1.75], hidden=7))
    assert history.name == "mine"
    assert history.settings.hidden == 7
    assert equal(history.step, [1, 2, 3])
    assert equal(history.loss, [4.0, 3.0, 2.5])
    assert equal(history.metric, [4.0, 3.0, 2.5])
    assert equal(history.tokens, [100, 200, 300])
    assert equal(history.seconds, [0.5, 1.0, 1.75])
    assert [list(column) for column in history.validation] == [[2, 3], [1.0, 1.0], [3.5, 2.75]]


def test_a_run_that_rnnkit_wrote(cli, tmp_path):
    words = ("--task", "adding", "--seq-len", 4, "--hidden", 4, "--batch", 2, "--steps", 3, "--quiet")
    assert cli("run", *words, "--out", tmp_path / "run").exit_code == 0
    history = read_history(tmp_path / "run")
    assert equal(history.step, [1, 2, 3])
    assert equal(history.tokens, [8, 16, 24])
    assert equal(history.metric, history.loss)
    assert equal(history.validation.step, [3])
    assert history.validation.metric[0] > 0


def test_a_folder_is_named_wherever_it_is_read_from(past_run, monkeypatch):
    monkeypatch.chdir(past_run("mine", [1.0]))
    assert read_history(type(past_run("other"))(".")).name == "mine"


def test_a_run_without_a_record_yet(past_run):
    history = read_history(past_run("mine"))
    assert all(len(column) == 0 for column in (history.step, history.metric, history.seconds, *history.validation))
    assert history.step.dtype == history.validation.step.dtype == np.int64
    assert history.metric.dtype == history.validation.metric.dtype == np.float64


def test_null_is_what_was_not_finite(past_run):
    folder = past_run("mine", [4.0])
    record = {"step": 2, "loss": None, "metric": None, "tokens": 200, "validation": {"loss": None, "metric": 2}}
    append(folder / "metrics.jsonl", json.dumps(record) + "\n")
    history = read_history(folder)
    assert equal(history.loss, [4.0, NAN])
    assert equal(history.validation.loss, [NAN])
    assert equal(history.validation.metric, [2.0])


@pytest.mark.parametrize("file", ["metrics.jsonl", "times.jsonl"])
def test_a_last_line_may_be_cut_off_anywhere(past_run, file):
    folder = past_run("mine", [4.0, 3.0, 2.5], {3: 2.5}, [1.0, 2.0, 3.0])
    whole = (folder / file).read_bytes()
    last = whole[:-1].rindex(b"\n") + 1
    for size in range(last, len(whole) + 1):
        (folder / file).write_bytes(whole[:size])
        history = read_history(folder)
        complete = size >= len(whole) - 1  # all but the end of the line is a whole line, too
        assert len(history.step) == (3 if complete or file == "times.jsonl" else 2)
        assert equal(history.seconds[:2], [1.0, 2.0])
        assert np.isfinite(history.seconds[-1]) == (complete or file == "metrics.jsonl")


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (None, [NAN, NAN, NAN]),
        ([1.0], [1.0, NAN, NAN]),
        ([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0]),
    ],
    ids=["missing", "shorter", "longer"],
)
def test_times_that_do_not_match(past_run, times, expected):
    assert equal(read_history(past_run("mine", [3.0, 2.0, 1.0], times=times)).seconds, expected)


def test_of_a_time_that_was_written_twice_the_later_counts(past_run):
    folder = past_run("mine", [3.0, 2.0, 1.0], times=[1.0, 2.0, 3.0])
    append(folder / "times.jsonl", '{"step": 2, "seconds": 2.5}\n{"step": 3, "seconds": 3.5}\n')
    assert equal(read_history(folder).seconds, [1.0, 2.5, 3.5])


GOOD = {"step": 3, "loss": 1.0, "metric": 1.0, "tokens": 300}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("", "not a JSON object"),
        ("{", "not a JSON object"),
        ("\x80\x04", "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ("[1, 2]", "not a JSON object"),
        ("{}", "step is None, not a count"),
        (json.dumps({**GOOD, "step": 3.5}), "step is 3.5, not a count"),
        (json.dumps({**GOOD, "step": 2}), "step 2 comes after step 2"),
        (json.dumps({**GOOD, "step": True}), "step is True, not a count"),
        (json.dumps({**GOOD, "tokens": -1}), "tokens is -1, not a count"),
        (json.dumps({**GOOD, "tokens": 2**63}), "not a count"),
        (json.dumps({**GOOD, "loss": "low"}), "loss is 'low', not a number"),
        (json.dumps({**GOOD, "loss": "low" * 1000}), "lowlow, not a number"),
        (json.dumps({**GOOD, "loss": 10**400}), "loss is larger than any number"),
        (json.dumps({**GOOD, "validation": 3}), "validation is 3, not a table"),
        (json.dumps({**GOOD, "validation": {"loss": 1}}), "metric is 'missing', not a number"),
    ],
    ids=lambda value: value[:30],
)
def test_a_damaged_line_is_named(past_run, line, fault):
    folder = past_run("mine", [3.0, 2.0])
    append(folder / "metrics.jsonl", f"{line}\n")
    with pytest.raises(CheckpointError) as caught:
        read_history(folder)
    sentence = str(caught.value)
    assert sentence.startswith(f"{folder / 'metrics.jsonl'}, line 3: ")
    assert fault in sentence
    assert len(sentence) < 300 + len(str(folder))


@pytest.mark.parametrize("line", ["nothing", '{"step": "1", "seconds": 1}', '{"step": 1, "seconds": "1"}'])
def test_a_damaged_time_is_named(past_run, line):
    folder = past_run("mine", [3.0, 2.0], times=[1.0])
    append(folder / "times.jsonl", f"{line}\n")
    with pytest.raises(CheckpointError, match=r"times\.jsonl, line 2: "):
        read_history(folder)


@pytest.mark.parametrize("file", ["metrics.jsonl", "times.jsonl"])
@pytest.mark.parametrize("made", ["a folder", "a pipe"])
def test_what_is_no_file(past_run, file, made):
    folder = past_run("mine", [3.0, 2.0], times=[1.0])
    (folder / file).unlink()
    (os.mkfifo if made == "a pipe" else os.mkdir)(folder / file)
    with pytest.raises(CheckpointError, match=f"{file} is not a file"):
        read_history(folder)


@pytest.mark.parametrize("missing", ["config.toml", "metrics.jsonl"])
def test_a_folder_that_is_no_run(past_run, missing):
    folder = past_run("mine", [3.0])
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match=missing):
        read_history(folder)


def test_no_folder(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere is not a folder; give the folder of a run"):
        read_history(tmp_path / "nowhere")
