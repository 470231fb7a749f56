"""How rows go on beyond the end of a table: the pace of their times, and the form in which these are written."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from rnnkit_tasks.forecast.clock import Clock
from rnnkit_tasks.forecast.pace import Pace
from rnnkit_tasks.table.column import Column
from rnnkit_tasks.table.moments import moments
from rnnkit_tasks.table.table import Table
from rnnkit_tasks.table.written_times import iso, writer_of

from .tables import hour

FIRST = datetime(2024, 1, 1)  # a Monday
WORKING_DAYS = [f"{day:%Y-%m-%d}" for k in range(40) if (day := FIRST + timedelta(days=k)).weekday() < 5]


def clock_of(kept=None, **columns):
    """Return a clock of columns of text."""
    table = Table("table", {name: Column() for name in columns})
    for name, cells in columns.items():
        table.columns[name].append(cells)
    table.rows = len(cells)
    time, _ = moments(table)
    return Clock(table, time, [] if time is None else time.names, kept)


def goes_on(cells, count, **more):
    """Return the cells after these, and the clock that names them."""
    clock = clock_of(date=cells, **more)
    return clock.index(range(len(cells), len(cells) + count)), clock


CONTINUED = {
    "hours over midnight": ([hour(k) for k in range(23)], ["2020-01-01 23:00", "2020-01-02 00:00"]),
    "hours over the night of summer time": (
        [(datetime(2024, 3, 30, 20) + timedelta(hours=k)).strftime("%Y-%m-%dT%H:%M") for k in range(5)],
        ["2024-03-31T01:00", "2024-03-31T02:00", "2024-03-31T03:00"],
    ),
    "days over the end of February": (["2024-02-26", "2024-02-27"], ["2024-02-28", "2024-02-29", "2024-03-01"]),
    "days over the end of a year, unpadded": ([f"{k}.12.2023" for k in range(8, 31)], ["31.12.2023", "1.1.2024"]),
    "days, padded": (["08/01/2024", "09/01/2024", "10/01/2024", "31/01/2024"][:3], ["11/01/2024", "12/01/2024"]),
    "days with their names": (["Fri, 05 Jan 2024", "Sat, 06 Jan 2024", "Sun, 07 Jan 2024"], ["Mon, 08 Jan 2024"]),
    "Monday to Friday": (WORKING_DAYS[:20], WORKING_DAYS[20:]),
    "weeks": (["2024-02-12", "2024-02-19"], ["2024-02-26", "2024-03-04"]),
    "first of the month": (["2023-10-01", "2023-11-01", "2023-12-01"], ["2024-01-01", "2024-02-01", "2024-03-01"]),
    "last of the month": (["2023-10-31", "2023-11-30", "2023-12-31"], ["2024-01-31", "2024-02-29", "2024-03-31"]),
    "months alone": (["2023-10", "2023-11", "2023-12"], ["2024-01", "2024-02"]),
    "months by name": (["Oct 2023", "Nov 2023", "Dec 2023"], ["Jan 2024", "Feb 2024"]),
    "quarters": (["2023Q2", "2023Q3", "2023Q4"], ["2024Q1", "2024Q2"]),
    "weeks of the year": (["2020-W51", "2020-W52", "2020-W53"], ["2021-W01", "2021-W02"]),
    "years as dates": (["2021-01-01", "2022-01-01", "2023-01-01", "2024-01-01"], ["2025-01-01", "2026-01-01"]),
    "afternoons": (["01/02/2024 10:00 AM", "01/02/2024 11:00 AM", "01/02/2024 12:00 PM"], ["01/02/2024 01:00 PM"]),
    "seconds with fractions": (["2024-01-01 00:00:00.00", "2024-01-01 00:00:00.25"], ["2024-01-01 00:00:00.50"]),
    "a zone": (["2024-01-01T22:00:00+02:00", "2024-01-01T23:00:00+02:00"], ["2024-01-02T00:00:00+02:00"]),
    "universal time": (["2024-01-01T22:00:00Z", "2024-01-01T23:00:00Z"], ["2024-01-02T00:00:00Z"]),
    "digits": (["20240228", "20240229"], ["20240301"]),
    "seconds since 1970": (["1577836800", "1577840400", "1577844000"], ["1577847600"]),
    "milliseconds since 1970": (["1577836800000", "1577840400000"], ["1577844000000"]),
    "days of a spreadsheet": (["45300", "45301", "45302"], ["45303", "45304"]),
    "capitals": (["03-JAN-2024", "04-JAN-2024"], ["05-JAN-2024"]),
    "with a gap": ([hour(k + (k > 20), "%Y-%m-%d %H:%M") for k in range(40)], [hour(41, "%Y-%m-%d %H:%M")]),
}


@pytest.mark.parametrize(("cells", "expected"), CONTINUED.values(), ids=CONTINUED)
def test_times_go_on_as_they_are_written(cells, expected):
    index, clock = goes_on(cells, len(expected))
    assert index == {"date": expected}
    assert len(clock.notes) == 1
    assert "written as" not in clock.notes[0]


def test_rows_of_the_table_keep_their_own_text():
    cells = ["2024-01-01 ", "2024-01-02", "2024-01-03"]
    assert clock_of(date=cells).index(range(1, 3)) == {"date": ["2024-01-02", "2024-01-03"]}


def test_date_and_time_apart():
    rows = [datetime(2024, 2, 28, 21) + timedelta(hours=k) for k in range(30)]
    cells = {"Date": [f"{row:%d/%m/%Y}" for row in rows], "Time": [f"{row:%H:%M}" for row in rows]}
    index = clock_of(**cells).index(range(29, 32))
    assert index == {"Date": ["01/03/2024", "01/03/2024", "01/03/2024"], "Time": ["02:00", "03:00", "04:00"]}


def test_years_and_months_apart():
    cells = {"year": ["2023"] * 12, "month": [str(k + 1) for k in range(12)]}
    assert clock_of(**cells).index(range(11, 14)) == {"year": ["2023", "2024", "2024"], "month": ["12", "1", "2"]}


def test_no_pace_no_times_beyond_the_end_and_a_line_says_so():
    index, clock = goes_on(["2024-01-01", "2024-01-02", "2024-01-09", "2024-01-11"], 2)
    assert index == {"row": ["5", "6"], "date": ["", ""]}
    (note,) = clock.notes
    assert note.startswith("times are not evenly spaced, so rows are shown by their numbers too")


def test_no_times_at_all():
    clock = clock_of(a=["1", "2.5", "2"])
    assert clock.index(range(1, 4)) == {"row": ["2", "3", "4"]}
    assert clock.notes == ["no column tells the time; rows are shown by their numbers, counted from 1"]


def test_a_form_that_cannot_be_gone_on_with_is_replaced_and_a_line_says_so():
    index, clock = goes_on(["Jan 1st, 2024", "Jan 2nd, 2024", "Jan 3rd, 2024"], 1)
    assert index == {"date": ["2024-01-04"]}
    assert "written as 2024-01-04, for the form of the table's own cannot be gone on with" in clock.notes[0]


def test_another_pace_than_the_run_s_is_told():
    kept = Pace("seconds", 3600.0)
    _, clock = goes_on(["2024-01-01", "2024-01-02", "2024-01-03"], 1)
    assert clock.pace == Pace("seconds", 86400.0)
    clock = clock_of(kept, date=["2024-01-01", "2024-01-02", "2024-01-03"])
    assert clock.notes == ["rows are 1 day apart, those that the run learnt from 1 h"]


def test_the_run_s_pace_names_rows_that_show_none():
    clock = clock_of(Pace("months", 1, 31), date=["2024-01-31"])
    assert clock.index(range(3)) == {"date": ["2024-01-31", "2024-02-29", "2024-03-31"]}


@pytest.mark.parametrize(
    ("pace", "season"),
    [
        (Pace("seconds", 3600.0), (24, "a day")),
        (Pace("seconds", 900.0), (96, "a day")),
        (Pace("seconds", 86400.0), (7, "a week")),
        (Pace("weekdays", 1), (5, "a week")),
        (Pace("seconds", 604800.0), (52, "a year")),
        (Pace("months", 1), (12, "a year")),
        (Pace("months", 3), (4, "a year")),
        (Pace("months", 12), None),
        (Pace("seconds", 7 * 3600.0), None),
    ],
    ids=str,
)
def test_the_season_of_a_pace(pace, season):
    assert pace.season() == season
    assert Pace.from_json(pace.to_json()) == pace


def test_what_is_no_pace():
    assert Pace.found(np.array([0.0])) is None
    assert Pace.found(np.array([5.0, 5.0, 5.0])) is None
    assert Pace.found(np.array([86400.0, 0.0])) is None
    assert Pace.found(np.array([np.nan, 0.0, 3600.0, 7200.0])) == Pace("seconds", 3600.0)
    for values in (["seconds", 0, 31], ["hours", 1, 31], ["seconds", 1], 3):
        with pytest.raises((TypeError, ValueError)):
            Pace.from_json(values)


@pytest.mark.parametrize("hours", range(1, 8))
def test_an_offset_that_has_just_changed_is_gone_on_with(hours):
    """Clocks went back at 1:00 UTC on 31 October 2021."""
    moments = [datetime(2021, 10, 31, 1, tzinfo=UTC) + timedelta(hours=k) for k in range(-20, hours + 3)]
    zones = [
        timezone(timedelta(hours=1 if moment >= datetime(2021, 10, 31, 1, tzinfo=UTC) else 2)) for moment in moments
    ]
    cells = [moment.astimezone(zone).isoformat() for moment, zone in zip(moments, zones, strict=True)]
    seconds = np.array([moment.timestamp() for moment in moments])
    write = writer_of(cells[:-3], seconds[:-3])
    assert [write(second) for second in seconds[-3:]] == cells[-3:]


def test_what_is_written_in_another_form_says_its_offset():
    assert iso(0.0, "1970-01-01T02:00:00+02:00") == "1970-01-01 00:00:00+00:00"
    assert iso(0.0, "1970-01-01") == "1970-01-01"
