"""Dates of a table that could be read in two ways, and how it is told which one was taken."""

import re
from datetime import datetime, timedelta

import numpy as np
import pytest

import rnnkit
from rnnkit.errors import DataError, UsageError

from .shops import Csv, predictor_of

DAY_FIRST = "(day first (month first is possible too: dates=month-first), "
MONTH_FIRST = "(month first (day first is possible too: dates=day-first), "


def write(path, dates, form):
    path.write_text("d,a\n" + "".join(f"{date.strftime(form)},{row % 7}\n" for row, date in enumerate(dates)))
    return str(path)


def monthly(count, step=1, day=1):
    return [datetime(1990 + month * step // 12, month * step % 12 + 1, day) for month in range(count)]


@pytest.mark.parametrize("step", [1, 3, 12])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("form", "said"), [("%d/%m/%Y", DAY_FIRST), ("%m/%d/%Y", MONTH_FIRST)])
def test_months_quarters_and_years_are_even_steps(tmp_path, step, turned, form, said):
    dates = monthly(60, step, day=3)
    file = write(tmp_path / "t.csv", dates[::-1] if turned else dates, form)
    task = Csv(file=file, window=3, order="newest-first" if turned else None)
    if step == 12:  # the third of January or the first of March, each year: as even
        said = DAY_FIRST
    each = {1: "1 month", 3: "3 months", 12: "1 year"}[step]
    assert f"time: d {said}{each} apart)" in task.data_summary()


def test_a_month_for_each_of_several_series(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"{date:%d/%m/%Y},{shop},{row % 7}" for row, date in enumerate(monthly(60)) for shop in "xyz"]
    path.write_text("\n".join(["d,shop,a", *rows]))
    assert f"time: d {DAY_FIRST[:-2]})" in Csv(file=str(path), key="shop", window=3).data_summary()


def test_days_that_could_be_months_stay_days(tmp_path):
    file = write(tmp_path / "t.csv", [datetime(2023, 1, 1) + timedelta(days=at) for at in range(12)], "%d/%m/%Y")
    assert f"time: d {DAY_FIRST}1 day apart)" in Csv(file=file, window=2).data_summary()


def test_either_is_taken_as_asked_and_new_files_are_read_alike(tmp_path):
    file = write(tmp_path / "t.csv", monthly(60), "%d/%m/%Y")
    asked = Csv(file=file, window=3, dates="month-first")
    assert "time: d (month first, 1 day apart, 4 jump(s), the first of 1 year in line 14)" in asked.data_summary()
    state = asked.data_state()
    again = rnnkit.tasks["csv"].from_data_state(state, file=file, window=3)
    assert state["reading"]["dates"] == "month-first"
    assert again.fingerprint() == asked.fingerprint()
    later = write(tmp_path / "later.csv", [datetime(2020, 5, 13) + timedelta(days=at) for at in range(9)], "%d/%m/%Y")
    with pytest.raises(DataError, match="line 2, column 'd': '13/05/2020' is no date with the month first, as dates="):
        predictor_of(again).predict(later)
    found = predictor_of(Csv(file=file, window=3))
    few = write(tmp_path / "few.csv", [datetime(2020, 5, at) for at in range(1, 9)], "%m/%d/%Y")
    assert found.predict(few).index["d"][0] == "05/04/2020"
    assert "those that the run learnt from 1 month" in " ".join(found.predict(few).notes)  # read day first, as the run


def test_a_run_keeps_its_reading_whatever_rows_come(tmp_path):
    path = tmp_path / "t.csv"
    days = [datetime(2023, 1, 1) + timedelta(days=at) for at in range(12)]
    task = Csv(file=write(path, days, "%d/%m/%Y"), window=2)
    again = rnnkit.tasks["csv"].from_data_state(task.data_state(), file=str(path), window=2)
    write(path, [*days, *(datetime(2023, month, 12) for month in range(2, 13))], "%d/%m/%Y")  # more even as months
    np.testing.assert_array_equal(again._frame.values, task._frame.values)
    assert str(again._pace) == "1 day"


def test_a_file_of_a_run_that_saw_no_such_dates_is_told(tmp_path):
    days = [datetime(2023, 1, 1) + timedelta(days=at) for at in range(100)]
    predictor = predictor_of(Csv(file=write(tmp_path / "t.csv", days, "%Y-%m-%d"), window=3))
    notes = predictor.predict(write(tmp_path / "new.csv", days[:12], "%d/%m/%Y")).notes
    assert any(note.startswith("dates are read day first, and month first is possible too, for the") for note in notes)


def test_dates_that_are_not_as_asked(tmp_path):
    days = [datetime(2023, 1, 1) + timedelta(days=at) for at in range(100)]
    file = write(tmp_path / "t.csv", days, "%d/%m/%Y")
    sentence = "line 14, column 'd': '13/01/2023' is no date with the month first, as dates=month-first asks; leave"
    with pytest.raises(DataError, match=re.escape(sentence)):
        Csv(file=file, window=3, dates="month-first")
    assert "time: d (day first, 1 day apart)" in Csv(file=file, window=3, dates="day-first").data_summary()
    plain = write(tmp_path / "plain.csv", days, "%Y-%m-%d")
    with pytest.raises(UsageError, match="has no dates in which the day or the month comes first; leave dates out"):
        Csv(file=plain, window=3, dates="day-first")
    with pytest.raises(UsageError, match="dates is 'european'; it must be day-first or month-first"):
        Csv(file=file, window=3, dates="european")
