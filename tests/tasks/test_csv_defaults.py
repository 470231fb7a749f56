"""Runs over four kinds of series with the default settings: what they beat, and that they say what they do not."""

from datetime import datetime, timedelta

import numpy as np
import pytest

import rnnkit

BEGIN = datetime(2023, 1, 1)
RIVALS = ("last value", "seasonal naive", "ridge")


def trend(draw):
    """Forty years of months: growth, and a season that grows with it."""
    months = np.arange(480)
    season = 1 + 0.2 * np.sin(2 * np.pi * months / 12) + 0.1 * np.cos(4 * np.pi * months / 12)
    values = (100 + 0.8 * months) * season * np.exp(0.03 * draw.normal(size=480))
    times = [f"{1980 + at // 12}-{at % 12 + 1:02d}" for at in range(480)]
    return "month,passengers", [f"{time},{value:.1f}" for time, value in zip(times, values.tolist(), strict=True)]


def seasons(draw):
    """Four hundred days of hours: a day, a week, and a slow drift."""
    hours = np.arange(24 * 400)
    work = np.array([(BEGIN + timedelta(hours=at)).weekday() < 5 for at in hours.tolist()])
    day = 10 * np.sin(2 * np.pi * (hours - 7) / 24) + 8 * work * np.sin(np.pi * (hours % 24 - 6) / 12).clip(0)
    values = 50 + day + 0.05 * draw.normal(size=len(hours)).cumsum() + draw.normal(size=len(hours))
    lines = [f"{BEGIN + timedelta(hours=at)},{value:.2f}" for at, value in enumerate(values.tolist())]
    return "time,load", lines


def parts(draw):
    """Four years of days on most of which nothing is sold."""
    days = np.arange(1500)
    sold = np.where(draw.random(1500) < 0.12 + 0.1 * np.sin(2 * np.pi * days / 365), draw.poisson(4, 1500) + 1, 0)
    return "day,sold", [f"{BEGIN + timedelta(days=at):%Y-%m-%d},{value}" for at, value in enumerate(sold.tolist())]


def shops(draw):
    """Five years of weeks of four shops, of sizes from 50 to 5000."""
    weeks, rows = np.arange(260), []
    for shop, (level, growth) in {
        "north": (1000, 2.0),
        "south": (200, -0.3),
        "east": (50, 0.1),
        "west": (5000, 0),
    }.items():
        season = 1 + 0.25 * np.sin(2 * np.pi * weeks / 52 + len(shop))
        values = level * season + growth * weeks + 0.05 * level * draw.normal(size=260)
        rows += [(at, f"{BEGIN + timedelta(weeks=at):%Y-%m-%d},{shop},{v:.1f}") for at, v in enumerate(values.tolist())]
    return "week,shop,sold", [row for _, row in sorted(rows)]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("kind", "horizon", "key", "beaten"),
    [
        (trend, 12, None, ("last value",)),
        (seasons, 24, None, ("last value", "seasonal naive")),
        (parts, 7, None, ("last value", "seasonal naive")),
        (shops, 8, "shop", ("last value", "seasonal naive")),
    ],
)
def test_the_default_settings_beat_naive_forecasts_or_say_that_they_do_not(cli, tmp_path, kind, horizon, key, beaten):
    head, lines = kind(np.random.default_rng(0))
    (tmp_path / "t.csv").write_text("\n".join([head, *lines]))
    options = ["--set", f"task.file={tmp_path / 't.csv'}", "--set", f"task.horizon={horizon}"]
    options += ["--set", f"task.key={key}"] if key else []
    done = cli("run", "--task", "csv", *options, "--quiet", "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    forecast = rnnkit.load(tmp_path / "run", best=True).predict()
    found = {error.method: error.rmse for error in forecast.errors if error.step is None}
    assert list(found) == ["this run", *RIVALS]
    assert all(found["this run"] < found[rival] for rival in beaten)
    lost = [rival for rival in RIVALS if found[rival] <= found["this run"]]
    said = [note for note in forecast.notes if note.startswith("this run does not beat ")]
    assert len(said) == bool(lost)
    assert all(rival in said[0] for rival in lost)
