"""Rows that have something else in the place of a date."""

import re

import pytest

import rnnkit
from rnnkit.errors import DataError

from .shops import Csv, predictor_of
from .tables import day, table

WAYS = (
    "is no date like the others; correct it, or take the row out, or leave the column out (leave_out), or give order="
)


def write(path, rows):
    path.write_text(rows)
    return str(path)


DAYS = table("d,a", lambda row, x: f"{day(row)},{x}")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (DAYS + "Total,150\n", "line 122, column 'd': 'Total'"),
        (DAYS.replace("2020-02-20", "2020-02-31"), "line 52, column 'd': '2020-02-31'"),
        (
            table("d,t,a", lambda row, x: f"{day(row // 24)},{row % 24:02d}:00,{x}") + "2020-01-06,sum,3\n",
            "line 122, column 't': 'sum'",
        ),
        (
            table("d,shop,a", lambda row, x: f"{day(row // 2)},{'xy'[row % 2]},{x}") + "Total,,150\n",
            "line 122, column 'd': 'Total'",
        ),
    ],
    ids=["a total", "no day", "no time of day", "a total of several series"],
)
@pytest.mark.parametrize("every", [None, "day"])
def test_what_is_no_date_is_refused(tmp_path, rows, sentence, every):
    options = {"key": "shop"} if "shop" in rows else {}
    with pytest.raises(DataError, match=re.escape(f"{sentence} {WAYS}")):
        Csv(file=write(tmp_path / "t.csv", rows), window=2, every=every, missing="forward", **options)


def test_it_is_kept_as_asked_and_in_runs_of_before(tmp_path):
    file = write(tmp_path / "t.csv", DAYS + "Total,150\n")
    task = Csv(file=file, window=3, order="oldest-first")
    assert "1 row(s) without a date, the first in line 122" in task.data_summary()
    state = task.data_state()
    state["reading"]["order"] = None  # what a run of before was given
    again = rnnkit.tasks["csv"].from_data_state(state, file=file, window=3)
    assert again.fingerprint() == task.fingerprint()
    assert len(predictor_of(again).predict().values)


def test_new_tables_and_streams_are_refused_as_well(tmp_path):
    predictor = predictor_of(Csv(file=write(tmp_path / "t.csv", DAYS), window=3))
    new = DAYS.replace("2020-02-20", "Subtotal")
    with pytest.raises(DataError, match=r"line 52, column 'd': 'Subtotal' is no date like the others; .* the row out$"):
        predictor.predict(write(tmp_path / "new.csv", new))
    with pytest.raises(DataError, match="stdin, line 52, column 'd': 'Subtotal' is no date; correct it, or take the"):
        list(predictor.follow(new.splitlines()))
    blank = predictor.predict(write(tmp_path / "blank.csv", DAYS.replace("2020-02-20", "")))
    assert "some rows have no date, so rows are shown by their numbers too, counted from 1" in blank.notes
