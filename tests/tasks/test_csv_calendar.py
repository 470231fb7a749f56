"""Parts of the date as inputs, on the clock of a zone whose hours change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

import rnnkit
from rnnkit.errors import DataError

from .shops import BEGIN, Csv, predictor_of


def test_a_zone_whose_clocks_change(tmp_path):
    """Local hours of Berlin over both changes: even in time, named by the clock, and gone on with past a change."""
    area = ZoneInfo("Europe/Berlin")
    hours = [datetime(2024, 3, 1, tzinfo=UTC) + timedelta(hours=at) for at in range(24 * 240)]
    last = next(at for at, hour in enumerate(hours) if hour == datetime(2024, 10, 26, 22, tzinfo=UTC))
    path = tmp_path / "t.csv"
    lines = [f"{hour.astimezone(area):%Y-%m-%d %H:%M},{at % 24}" for at, hour in enumerate(hours[: last + 1])]
    path.write_text("time,a\n" + "\n".join(lines))
    plain = Csv(file=str(path), window=3)
    assert "1 jump(s), the first of 2 h" in plain.data_summary()
    task = Csv(file=str(path), window=3, zone="Europe/Berlin", horizon=6)
    assert "time: time (1 h apart);" in task.data_summary()
    times = predictor_of(task).predict(origins="last").index["time"]
    assert [time[-5:] for time in times] == ["01:00", "02:00", "02:00", "03:00", "04:00", "05:00"]
    assert times[0] == "2024-10-27 01:00"


def test_a_table_without_the_times_whose_parts_are_read_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"{BEGIN + timedelta(hours=at)},{at % 7}" for at in range(200)]
    path.write_text("\n".join(["time,a", *rows]))
    predictor = predictor_of(Csv(file=str(path), window=3))
    new = tmp_path / "new.csv"
    new.write_text("\n".join(["a", *(row.partition(",")[2] for row in rows)]))
    with pytest.raises(DataError, match="has no column 'time', which the run reads"):
        predictor.predict(new)
    with pytest.raises(DataError, match="no column 'time', which the run reads"):
        next(predictor.follow(new.read_text().splitlines()))
    new.write_text("\n".join(["time,a", *(f"soon {at},{at % 7}" for at in range(200))]))
    with pytest.raises(DataError, match="has no times in 'time', of which the run reads the hour or day"):
        predictor.predict(new)


@pytest.mark.parametrize(("days", "parts"), [(2, []), (14, ["hour"]), (30, ["hour", "weekday"])])
def test_a_part_of_the_date_must_come_twice_in_what_trains(tmp_path, days, parts):
    path = tmp_path / "t.csv"
    path.write_text("time,a\n" + "".join(f"{BEGIN + timedelta(hours=at)},{at % 5}\n" for at in range(24 * days)))
    assert rnnkit.tasks["csv"](file=str(path), window=3).data_state()["roles"]["calendar"] == parts


def test_parts_of_the_date_are_those_of_the_clock(tmp_path):
    area = ZoneInfo("Europe/Berlin")
    moments = [datetime(2024, 3, 1, tzinfo=UTC) + timedelta(hours=at) for at in range(24 * 60)]  # the clocks change
    path = tmp_path / "t.csv"
    lines = [f"{moment.astimezone(area):%Y-%m-%d %H:%M},{at % 5}" for at, moment in enumerate(moments)]
    path.write_text("\n".join(["time,a", *lines]))
    task = Csv(file=str(path), zone="Europe/Berlin", window=3, calendar="hour")
    hours = np.array([moment.astimezone(area).hour for moment in moments])
    np.testing.assert_allclose(task.series[:, 1], np.sin(2 * np.pi * hours / 24), atol=1e-6)
