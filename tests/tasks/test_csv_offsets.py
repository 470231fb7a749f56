"""Times that say how far they are from UTC, on the clock of a zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

import rnnkit

from .shops import Csv, predictor_of

BERLIN = ZoneInfo("Europe/Berlin")
SAID = "times have offsets, and parts of the date are those of Europe/Berlin"
HOURS = [datetime(2024, 10, 1, 22, tzinfo=UTC) + timedelta(hours=at) for at in range(25 * 24 + 3)]
"""The last is the first of two hours that are called 02:00 in Berlin."""


def write(path, form, area=BERLIN, hours=HOURS):
    path.write_text("t,a\n" + "".join(f"{form(hour.astimezone(area))},{at % 7}\n" for at, hour in enumerate(hours)))
    return path


def iso(hour):
    return hour.isoformat()


def short(hour):
    return hour.strftime("%d.%m.%Y %H:%M %z")


def plain(hour):
    return hour.strftime("%Y-%m-%d %H:%M")


def zulu(hour):
    return hour.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("form", "area", "shown"),
    [
        (iso, BERLIN, iso),
        (iso, ZoneInfo("Asia/Kolkata"), iso),
        (short, BERLIN, short),
        (zulu, UTC, iso),
        (lambda hour: f"{hour:%Y-%m-%d %H:%M}+0{hour.utcoffset().seconds // 3600}", BERLIN, None),
    ],
    ids=["offsets", "offsets of another zone", "offsets without a colon", "universal", "hours alone"],
)
def test_parts_of_the_date_and_forecasts_follow_the_zone(tmp_path, form, area, shown):
    task = Csv(file=str(write(tmp_path / "t.csv", form, area)), zone="Europe/Berlin", window=3, horizon=4)
    local = Csv(file=str(write(tmp_path / "local.csv", plain)), zone="Europe/Berlin", window=3, horizon=4)
    assert f"{SAID} (as asked)" in task.data_summary()
    assert task.columns == ["a"]
    assert task.fingerprint() == local.fingerprint()
    forecast = predictor_of(task).predict()
    first = len(HOURS) + 4 - len(forecast.index["t"])
    due = [HOURS[0] + timedelta(hours=at) for at in range(first, len(HOURS) + 4)]
    if shown:
        assert forecast.index["t"] == [shown(hour.astimezone(BERLIN)) for hour in due]
    again = rnnkit.tasks["csv"].from_data_state(task.data_state(), file=str(tmp_path / "t.csv"), window=3, horizon=4)
    assert again.fingerprint() == task.fingerprint()
    parts = list(predictor_of(again).follow((tmp_path / "t.csv").read_text().splitlines()))
    assert parts[-1].index["t"] == forecast.index["t"][-4:]
    new = predictor_of(again).predict(tmp_path / "local.csv")  # local times of that zone
    np.testing.assert_array_equal(new.values[-4:], forecast.values[-4:])


def test_days_begin_when_the_clock_of_the_zone_says_so(tmp_path):
    task = Csv(file=str(write(tmp_path / "t.csv", zulu, UTC)), zone="Europe/Berlin", every="day", window=2)
    assert "0 of 26 had none and are empty" in task.data_summary()
    assert predictor_of(task).predict().index["t"][0] == "2024-10-24T00:00:00+02:00"


def test_without_a_zone_they_are_those_of_universal_time(tmp_path):
    task = Csv(file=str(write(tmp_path / "t.csv", iso)), window=3)
    assert "times are taken in UTC" in task.data_summary()
    assert task.fingerprint() == Csv(file=str(write(tmp_path / "z.csv", zulu, UTC)), window=3).fingerprint()


def test_the_zone_of_a_parquet_file_is_taken_and_said(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    def stored(zone, path):
        times = arrow.array(HOURS, type=arrow.timestamp("us", tz=zone))
        columns = {"t": times, "a": [at % 7 for at in range(len(HOURS))], "shop": ["x"] * len(HOURS)}
        pyarrow.parquet.write_table(arrow.table(columns), path)
        return str(path)

    local = Csv(file=str(write(tmp_path / "local.csv", plain)), zone="Europe/Berlin", window=3)
    for options in ({}, {"key": "shop"}):
        task = Csv(file=stored("Europe/Berlin", tmp_path / "t.parquet"), window=3, columns="a", **options)
        assert f"{SAID} (the zone of the file)" in task.data_summary()
        assert task.data_state()["reading"]["zone"] == "Europe/Berlin"
        assert task.fingerprint() == local.fingerprint()
        assert predictor_of(task).predict().index["t"][-1] == "2024-10-27 02:00:00+01:00"
    state = task.data_state()
    state["reading"]["zone"] = None  # as of runs of before, which took such times in UTC
    again = rnnkit.tasks["csv"].from_data_state(state, file=str(tmp_path / "t.parquet"), window=3)
    assert again.fingerprint() != task.fingerprint()
    assert "times are taken in UTC" in Csv(file=stored("UTC", tmp_path / "u.parquet"), window=3).data_summary()


@pytest.mark.parametrize("every", [None, "1h"])
def test_a_date_apart_from_its_offset_goes_on_by_the_clock_of_the_table(tmp_path, every):
    """Midnight there is another day than in universal time."""
    times = [datetime(2024, 1, 1) + timedelta(hours=hour) for hour in range(24 * 8 - 4)]
    rows = [f"{time:%d.%m.%Y},{time:%H:%M}+01:00,{time.hour % 5}" for time in times]
    (tmp_path / "t.csv").write_text("\n".join(["Date,Time,a", *rows]) + "\n")
    task = Csv(file=str(tmp_path / "t.csv"), window=3, horizon=6, calendar="none", every=every)
    index = predictor_of(task).predict(origins="last").index
    assert index["Date"] == ["08.01.2024"] * 4 + ["09.01.2024"] * 2
    assert index["Time"] == [f"{hour:02d}:00+01:00" for hour in (20, 21, 22, 23, 0, 1)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["CET"], "; CET behind times is passed over; zone="),
        (["CET", "CEST"], "; CET and CEST behind times is passed over"),
        (["Europe/Berlin"], "; Europe/Berlin behind times is passed over"),
        (["am"], None),
        (["Z"], None),
        (["UTC"], None),
        ([""], None),
    ],
    ids=lambda words: "-".join(words) if isinstance(words, list) else "",
)
def test_words_for_zones_are_told(tmp_path, words, said):
    path = tmp_path / "t.csv"
    rows = [f"2024-01-{1 + at // 10:02d} 0{at % 10}:00 {words[at % len(words)]},{at % 7}" for at in range(100)]
    path.write_text("\n".join(["time,a", *(row.replace(" ,", ",") for row in rows)]))
    summary = Csv(file=str(path), window=3).data_summary()
    assert "passed over" not in summary if said is None else said in summary
    if said is not None:
        assert "passed over" not in Csv(file=str(path), window=3, zone="Europe/Berlin").data_summary()
