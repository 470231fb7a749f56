"""What a table's columns are taken for: each is told, in one line, or the table is refused in one."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

import rnnkit
from rnnkit.errors import DataError, UsageError
from rnnkit_tasks.table.rows import Rows

from .tables import REFUSED, TOLD, day, table

Csv = rnnkit.tasks["csv"]


@pytest.fixture
def write(tmp_path):
    """Write a table; returns its path."""

    def write(content, name="table.csv"):
        (tmp_path / name).write_bytes(content.encode())
        return str(tmp_path / name)

    return write


def width_of(content):
    """Count the columns of a table without the code that is tested, in its last line."""
    last = content.rstrip("\n").splitlines()[-1]
    return max(len(next(csv.reader([last], delimiter=mark))) for mark in "\t;|,")


@pytest.mark.parametrize("kind", TOLD)
def test_every_column_is_told(write, kind):
    told, path = TOLD[kind], write(TOLD[kind].content)
    task = Csv(file=path, window=4, **told.options)
    line = task.data_summary()
    assert [word for word in told.words if word not in line] == [], line
    assert "\n" not in line
    assert re.match(r"inputs: .*; targets: .*; time: .*; left out: .*; names: .*; cells cut at each ", line)
    roles = task.data_state()["roles"]
    names = {*roles["inputs"], *roles["targets"], *roles["time"], *roles["left_out"], roles["key"]} - {""}
    assert len(names) == width_of(told.content), line
    assert [name for name in names if name not in line] == []
    assert all(error < 100 for error in task.baselines().values())


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(write, kind):
    refused, path = REFUSED[kind], write(REFUSED[kind].content)
    with pytest.raises((DataError, UsageError)) as error:
        Csv(file=path, window=4, **refused.options)
    sentence = str(error.value)
    assert [word for word in refused.words if word not in sentence] == [], sentence
    assert sentence.startswith((path, "task 'csv': "))
    assert "\n" not in sentence
    assert len(sentence) < len(path) + 260


@pytest.mark.parametrize("kind", TOLD)
def test_what_a_run_keeps_makes_the_same_task(write, kind):
    told, path = TOLD[kind], write(TOLD[kind].content)
    options = {"file": path, "window": 4, **told.options}
    task = Csv(**options)
    state = json.loads(json.dumps(task.data_state()))
    again = Csv.from_data_state(state, **options)
    assert again.data_summary() == task.data_summary()
    assert again.data_state() == state
    assert again.fingerprint() == task.fingerprint()
    assert (again.mean.tolist(), again.scale.tolist()) == (task.mean.tolist(), task.scale.tolist())


def test_rows_are_turned_round(write):
    content = table("d,a", lambda row, x: f"{day(row)},{x}")
    head, *lines = content.splitlines()
    plain = Csv(file=write(content), window=4)
    turned = Csv(file=write("\n".join([head, *lines[::-1]]), "turned.csv"), window=4, order="newest-first")
    assert turned.fingerprint() == plain.fingerprint()


@pytest.mark.parametrize("name", ["YEAR", "id", "month"])
def test_what_counts_is_still_an_input(write, name):
    task = Csv(file=write(table(f"{name},a", lambda row, x: f"{row % 12 + 1 if name == 'month' else 1900 + row},{x}")))
    assert (task.columns, task.targets) == ([name, "a"], ["a"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"header": "maybe"}, "header is 'maybe'; it must be yes, no or auto"),
        ({"header": 1.5}, "header is 1.5"),
        ({"order": "backwards"}, "order is 'backwards'; it must be oldest-first or newest-first"),
        ({"leave_out": []}, r"leave_out is \[\]; name one column"),
    ],
    ids=str,
)
def test_options_that_make_no_sense(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        Csv(**options)


@pytest.mark.parametrize("value", ["auto", None, "yes", True])
def test_header_in_every_spelling(write, value):
    assert Csv(file=write(table("a", lambda row, x: x)), window=4, header=value).columns == ["a"]


def test_a_block_is_read_as_its_rows_are(write, monkeypatch):
    """Plain blocks, and those with a quote, a blank line, a comment, a word or a short row among them."""
    lines = [f"{day(row)},{row / 7},{row % 5},x{row}" for row in range(3000)]
    lines[2700] = lines[2700].replace("x", '"x') + '"'
    lines[1200] += "\n\n# what follows is new"
    lines[1500] = lines[1500].replace("x", "")
    path = Path(write("d,a,b,c\n" + "\n".join(lines)))
    whole = Rows(path, None)
    monkeypatch.setattr("rnnkit_tasks.text.text_file.PIECE", 4000)
    plain = []
    judge = Rows._plain
    monkeypatch.setattr(Rows, "_plain", lambda rows, block: plain.append(judge(rows, block)) or plain[-1])
    pieces = Rows(path, None)
    assert plain.count(True) > 5
    assert plain.count(False) > 1
    assert pieces.lines == whole.lines
    for one, other in zip(whole.columns, pieces.columns, strict=True):
        assert np.array_equal(one.numbers, other.numbers, equal_nan=True)
        assert (list(one.odd_rows), one.odd_cells) == (list(other.odd_rows), other.odd_cells)
    assert pieces.columns[3].numbers[1500] == 1500


@pytest.mark.parametrize(("change", "cells"), [(",9", 3), ("", 1)], ids=["long", "short"])
def test_a_row_of_another_width_far_down_is_named(write, monkeypatch, change, cells):
    monkeypatch.setattr("rnnkit_tasks.text.text_file.PIECE", 2000)
    lines = [f"{row % 7},{row % 5}" for row in range(3000)]
    lines[2500] = lines[2500] + change if change else "5"
    with pytest.raises(
        DataError, match=rf"line 2501: {cells} cell\(s\), 2 in line 1; give all rows as many; cells are cut"
    ):
        Csv(file=write("\n".join(lines)))


def test_one_row_too_long_and_one_too_short_are_seen_in_one_block(write):
    lines = [f"{row % 7},{row % 5}" for row in range(3000)]
    lines[2500], lines[2600] = "5", "1,2,3"
    with pytest.raises(DataError, match="line 2501: 1 cell"):
        Csv(file=write("\n".join(lines)))
