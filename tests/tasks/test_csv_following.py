"""Forecasts of rows that come line by line are those of the whole table, one a row, as soon as a window is full."""

import io
from datetime import datetime, timedelta

import numpy as np
import pytest

from rnnkit.errors import DataError

from .known_series import predictor_of, task_of, write


def test_what_follows_is_what_a_whole_table_gives(file, tmp_path, values):
    predictor = predictor_of(task_of(file))
    new = write(tmp_path / "new.csv", values[:60], begin=30)
    whole = predictor.predict(new)
    parts = list(predictor.follow(new.read_text().splitlines(keepends=True)))
    assert len(parts) == len(whole.values)
    for name in ("values", "lower", "upper"):
        np.testing.assert_allclose(np.concatenate([getattr(p, name) for p in parts]), getattr(whole, name), rtol=1e-6)
    assert [part.index["time"][0] for part in parts] == whole.index["time"]
    text = "".join(part.to_csv(header=k == 0) for k, part in enumerate(parts))
    assert text.splitlines()[0] == whole.to_csv().splitlines()[0]
    later = [line.rpartition(",")[0] for line in whole.to_csv().splitlines()[1:]]
    assert [line.rpartition(",")[0] for line in text.splitlines()[1:]] == later


def test_what_follows_without_times(tmp_path, values):
    table = write(tmp_path / "t.csv", values, head="a,b", row="{value!r},{other}")
    predictor = predictor_of(task_of(table))
    whole = predictor.predict(table)
    parts = list(predictor.follow(table.read_text().splitlines()[:21]))
    assert [part.index["row"][0] for part in parts] == whole.index["row"][:16]


def test_the_first_forecast_comes_with_the_last_row_of_the_first_window(file):
    lines = iter(file.read_text().splitlines())
    read = []

    def watched():
        for line in lines:
            read.append(line)
            yield line

    forecasts = predictor_of(task_of(file)).follow(watched())
    next(forecasts)
    assert len(read) == 1 + 5
    next(forecasts)
    assert len(read) == 1 + 6


LINES = "time,a,b\n" + "".join(f"2024-01-01 {k:02d}:00:00,{50 + k},1\n" for k in range(6))
UNFIT = {
    "nothing": ("", "stdin has no line; give a table with the columns that the run reads"),
    "too few": ("time,a,b\n2024-01-01,1,1\n", "stdin ended after 1 row(s); the run forecasts from 5"),
    "names that lack one": ("time,x,b\n", "stdin, line 1: no column 'a'"),
    "a word": (f"{LINES}2024-01-01 06:00:00,much,1\n", "stdin, line 8, column 'a': 'much' is not a finite number"),
    "an empty cell": (f"{LINES}2024-01-01 06:00:00,,1\n", "stdin, line 8, column 'a': the cell is empty; correct it"),
    "a cell too few": (f"{LINES}2024-01-01 06:00:00,1\n", "stdin, line 8: 2 cell(s), 3 in the first line"),
    "too large": (f"{LINES}2024-01-01 06:00:00,1e200,1\n", "stdin, line 8, column 'a': 1e+200 is too large"),
    "an open quote": (f'{LINES}"2024-01-01,1,1\n', "stdin, line 8: unexpected end of data; correct it"),
}


@pytest.mark.parametrize(("text", "said"), UNFIT.values(), ids=UNFIT)
def test_lines_that_are_unfit_are_refused(file, text, said):
    with pytest.raises(DataError) as refused:
        list(predictor_of(task_of(file, columns="a,b")).follow(io.StringIO(text)))
    assert str(refused.value).startswith(said)


def test_blank_lines_and_comments_are_passed_over(file):
    predictor = predictor_of(task_of(file))
    plain = [part.to_csv() for part in predictor.follow(LINES.splitlines())]
    spaced = "\ufeff" + LINES.replace("\n", "\n# a remark\n\n")
    assert [part.to_csv() for part in predictor.follow(spaced.splitlines())] == plain


def test_names_in_a_comment(tmp_path, values):
    table = write(tmp_path / "t.csv", values, head="# made by hand\n# time,a,b")
    predictor = predictor_of(task_of(table))
    whole = predictor.predict(table)
    parts = list(predictor.follow(table.read_text().splitlines()[:22]))
    assert [part.index["time"][0] for part in parts] == whole.index["time"][:16]
    np.testing.assert_allclose([part.values[0, 0] for part in parts], whole.values[:16, 0], rtol=1e-6)


@pytest.mark.parametrize("missed", [8, 12, 30])
def test_a_gap_changes_neither_columns_nor_pace(file, missed):
    lines = file.read_text().splitlines()[:60]
    del lines[missed]
    parts = list(predictor_of(task_of(file)).follow(lines))
    assert {tuple(part.index) for part in parts} == {("time",)}
    last = [line.partition(",")[0] for line in lines[5:]]
    ahead = [
        datetime.fromisoformat(p.index["time"][0]) - datetime.fromisoformat(t) for p, t in zip(parts, last, strict=True)
    ]
    assert set(ahead) == {timedelta(hours=3)}


def test_a_stream_that_is_the_newest_first_is_refused(file):
    head, *rows = file.read_text().splitlines()
    with pytest.raises(DataError, match="stdin, line 6: the time column 'time' goes back; give the oldest row first"):
        list(predictor_of(task_of(file)).follow([head, *rows[::-1]]))


def test_clocks_that_are_put_back_end_no_stream(file):
    head, *rows = file.read_text().splitlines()
    assert len(list(predictor_of(task_of(file)).follow([head, *rows[:12], *rows[11:20]]))) == 21 - 4


def test_names_that_come_again_are_named(file):
    lines = file.read_text().splitlines()
    with pytest.raises(DataError, match="stdin, line 9: the names stand here again"):
        list(predictor_of(task_of(file)).follow([*lines[:8], lines[0]]))


def test_a_date_that_may_be_two_is_refused_where_no_row_has_told(file):
    """The run has seen dates with the year first."""
    predictor = predictor_of(task_of(file, columns="a,b"))
    rows = [f"{{}}/{{}}/2024 0{hour}:00,{50 + hour},1" for hour in range(8)]
    said = r"stdin, line 2, column 'time': '02/01/2024 00:00' may have the day or the month first"
    with pytest.raises(DataError, match=said):
        list(predictor.follow(["time,a,b", *(row.format("02", "01") for row in rows)]))
    told = [rows[0].format("31", "01"), *(row.format("01", "02") for row in rows)]
    assert list(predictor.follow(["time,a,b", *told]))[-1].index["time"] == ["01/02/2024 10:00"]
