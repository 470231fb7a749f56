"""Even steps in time, as `every` asks: what becomes of rows that lie in one, and of steps without any."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from rnnkit.errors import DataError

from .shops import BEGIN, Csv, predictor_of


def test_even_steps_average_and_leave_gaps(tmp_path):
    draw = np.random.default_rng(1)
    minutes = np.sort(draw.choice(60 * 24 * 20, size=3000, replace=False))
    minutes = minutes[(minutes < 60 * 200) | (minutes >= 60 * 205)]  # five hours without a row
    values = draw.normal(size=len(minutes))
    lines = [f"{BEGIN + timedelta(minutes=m)},{v!r}" for m, v in zip(minutes.tolist(), values.tolist(), strict=True)]
    path = tmp_path / "t.csv"
    path.write_text("time,a\n" + "\n".join(lines))
    task = Csv(file=str(path), every="1h", missing="forward", window=4, calendar="none")
    hours = minutes // 60
    first, last = int(hours.min()), int(hours.max())
    expected = [values[hours == hour].mean() if (hours == hour).any() else np.nan for hour in range(first, last + 1)]
    found = task._frame.values[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    empty = int(np.isnan(expected).sum())
    assert empty >= 5
    assert f"a row every 1h (as asked): {empty} of {len(expected)} had none and are empty" in task.data_summary()
    forecast = predictor_of(task).predict()
    assert forecast.index["time"][-1] == f"{BEGIN + timedelta(hours=last + 1)}"


@pytest.mark.parametrize("every", ["month", "1 month"])
def test_months_are_those_of_the_calendar(tmp_path, every):
    days = [BEGIN + timedelta(days=at) for at in range(900)]
    path = tmp_path / "t.csv"
    path.write_text("day,a\n" + "".join(f"{day:%d/%m/%Y},{day.day}\n" for day in days))
    task = Csv(file=str(path), every=every, window=2)
    assert "time: day (day first, 1 month apart)" in task.data_summary()
    assert task._frame.values[:4, 0].tolist() == [16.0, 15.0, 16.0, 15.5]
    assert predictor_of(task).predict().index["day"][-1] == "01/07/2026"


@pytest.mark.parametrize(("first", "last", "hours"), [(2020, 2200, 181), (7090, 7300, 211)], ids=["spring", "autumn"])
def test_even_hours_of_a_zone_are_hours(tmp_path, first, last, hours):
    """Over both changes of the clocks of Berlin in 2024."""
    area = ZoneInfo("Europe/Berlin")
    moments = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=at) for at in range(first, last + 1)]
    path = tmp_path / "t.csv"
    times = [f"{moment.astimezone(area):%Y-%m-%d %H:%M}" for moment in moments]
    path.write_text("time,a\n" + "".join(f"{time},{at % 9}\n" for at, time in enumerate(times)))
    task = Csv(file=str(path), zone="Europe/Berlin", every="1h", window=3)
    assert f"0 of {hours} had none and are empty, 0 are the mean" in task.data_summary()
    assert task._frame.values[:, 0].tolist() == [at % 9 for at in range(hours)]
    assert predictor_of(task).predict().index["time"][-2] == times[-1]


def test_a_last_step_that_is_not_over_is_told(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("time,a\n" + "".join(f"{BEGIN + timedelta(hours=at)},{at % 7}\n" for at in range(24 * 40 + 18)))
    task = Csv(file=str(path), every="day", window=3)
    assert "the last step has 18 row(s), others 24; leave it out if it is not over" in task.data_summary()


@pytest.mark.parametrize("every", ["day", None], ids=["even steps", "as they stand"])
def test_days_after_the_last_row_begin_by_the_clock(tmp_path, every):
    """Though the one on which clocks are put forward is an hour shorter."""
    path = tmp_path / "t.csv"
    rows = [f"{BEGIN + timedelta(days=day):%Y-%m-%d %H:%M},{day % 5}" for day in range(89)]
    path.write_text("\n".join(["time,a", *rows]))
    task = Csv(file=str(path), zone="Europe/Berlin", every=every, window=3, horizon=5, calendar="none")
    forecast = predictor_of(task).predict(path, origins="last")
    days = ["2024-03-30", "2024-03-31", "2024-04-01", "2024-04-02", "2024-04-03"]
    assert forecast.index["time"] == [f"{day} 00:00" for day in days]


def test_even_steps_have_the_offset_that_clocks_had_then(tmp_path):
    path, berlin = tmp_path / "t.csv", ZoneInfo("Europe/Berlin")
    begin = datetime(2024, 3, 30, 20, 7, tzinfo=UTC)
    rows = [f"{(begin + timedelta(minutes=20 * k)).astimezone(berlin).isoformat()},{k % 5}" for k in range(60)]
    path.write_text("\n".join(["time,a", *rows]))
    task = Csv(file=str(path), every="1h", window=3, calendar="none")
    shown = predictor_of(task).predict(path).index["time"]
    assert shown[:3] == ["2024-03-31T00:00:00+01:00", "2024-03-31T01:00:00+01:00", "2024-03-31T03:00:00+02:00"]


def test_a_word_in_a_step_of_numbers_is_refused_by_its_line(tmp_path):
    """In the second of two series; a number comes after it in the same step."""
    lines = [f"{BEGIN + timedelta(minutes=15 * at)},{shop},{at % 7}" for at in range(300) for shop in "xy"]
    lines[81] = f"{lines[81].rpartition(',')[0]},much"
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["time,shop,a", *lines]))
    with pytest.raises(DataError, match=r"t.csv, line 83, column 'a': 'much' is not a finite number; correct it"):
        Csv(file=str(path), every="1h", key="shop", window=3, missing="forward")


def test_a_step_without_a_row_is_named_by_the_line_before_it(tmp_path):
    lines = [f"{BEGIN + timedelta(hours=at)},{shop},{at % 7}" for at in range(100) for shop in "xy"]
    del lines[41]  # the row of y of hour 20, after that of hour 19 in line 41
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["time,shop,a", *lines]))
    said = r"t.csv, line 41, column 'a': here is a step of 1h without a number; give a longer one \(every\), or leave"
    with pytest.raises(DataError, match=said):
        Csv(file=str(path), every="1h", key="shop", window=3)
