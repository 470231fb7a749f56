"""Forecasts of tables: exact where the series is known, in the table's units and dates, whatever became of its file."""

import re
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import DataError, UsageError

from .known_series import KEEPS, Knows, predictor_of, series, task_of, write


def test_the_forecast_of_a_series_that_is_known_is_exact(file, values):
    forecast = predictor_of(task_of(file)).predict()
    assert forecast.values.shape == (60 + 3, 1)
    expected = 50 + KEEPS**3 * (values[340 - 3 :] - 50)
    np.testing.assert_allclose(forecast.values[:, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(forecast.actual[:60, 0], values[340:])
    assert np.isnan(forecast.actual[60:]).all()


def test_dates_are_those_of_the_table_and_go_on(file):
    forecast = predictor_of(task_of(file)).predict()
    times = [f"{datetime(2024, 2, 28) + timedelta(hours=at)}" for at in range(340, 403)]
    assert forecast.index == {"time": times}
    assert times[-1] == "2024-03-15 18:00:00"


def test_errors_are_those_of_the_rows_in_the_table_s_units(file, values):
    forecast = predictor_of(task_of(file)).predict(season=24)
    rows, truth = np.arange(340, 400), values[340:]
    said = {
        "this run": 50 + KEEPS**3 * (values[rows - 3] - 50),
        "last value": values[rows - 3],
        "seasonal naive": values[rows - 24],
    }
    found = {error.method: error for error in forecast.errors}
    assert list(found) == [*said, "ridge"]
    for method, of in said.items():
        assert found[method].mae == pytest.approx(np.abs(of - truth).mean(), rel=1e-5)
        assert found[method].rmse == pytest.approx(np.sqrt(((of - truth) ** 2).mean()), rel=1e-5)
        assert found[method].rows == 60
    assert found["ridge"].rmse == pytest.approx(found["this run"].rmse, rel=0.15)


def test_ridge_is_the_linear_model_of_the_baselines(file):
    task = task_of(file)
    model = Knows(task)
    weights = torch.tensor(task.calibration(model)["ridge"], dtype=torch.float64)
    rows = range(280, 340)
    windows = torch.stack([task.series[at - 7 : at - 2].flatten() for at in rows]).double()
    off = windows @ weights[:-1] + weights[-1] - task.values[280:340]
    assert float(off.square().mean()) == pytest.approx(task.baselines()["linear model"], rel=1e-5)


def test_a_season_shorter_than_the_horizon_repeats_the_latest_one_that_is_known(file, values):
    forecast = predictor_of(task_of(file)).predict(season=2)
    error = next(error for error in forecast.errors if error.method == "seasonal naive")
    assert error.mae == pytest.approx(np.abs(values[340 - 4 : 396] - values[340:]).mean())


def test_the_interval_holds_what_it_promises(tmp_path):
    task = task_of(write(tmp_path / "long.csv", series(6000)))
    predictor = predictor_of(task)
    for share in (0.5, 0.8, 0.95):
        forecast = predictor.predict(interval=share)
        assert forecast.coverage[0] == pytest.approx(share, abs=0.04)
        deviation = np.sqrt(sum(KEEPS ** (2 * k) for k in range(3)))  # of the noise of three rows
        width = {0.5: 0.6745, 0.8: 1.2816, 0.95: 1.96}[share] * deviation
        assert forecast.upper[0] - forecast.values[0] == pytest.approx(width, rel=0.1)
        assert forecast.values[0] - forecast.lower[0] == pytest.approx(width, rel=0.1)


def test_an_interval_that_does_not_hold_is_told(file, tmp_path):
    predictor = predictor_of(task_of(file))
    assert not any("of what came, not" in note for note in predictor.predict().notes)
    noisy = predictor.predict(write(tmp_path / "noisy.csv", series(200, noise=4.0)))
    assert any(
        re.match(r"the bounds of a hold \d+% of what came, not 0.9: these rows are unlike", n) for n in noisy.notes
    )


def test_too_few_rows_for_an_interval_are_told(file):
    notes = predictor_of(task_of(file)).predict(interval=0.99).notes
    assert any("so few rows bound less than 99 %: these are the least and the greatest error" in n for n in notes)


def test_another_table_needs_nothing_of_the_first_one(file, tmp_path, values):
    task = task_of(file)
    kept, calibration = task.data_state(), task.calibration(Knows(task))
    new = write(tmp_path / "new.csv", values[300:], begin=300)
    before = predictor_of(task, calibration).predict(new)
    options = {"file": str(file), "target": "a", "window": 5, "horizon": 3}
    for change in (lambda: file.write_text("a\n1\n"), file.unlink):
        change()
        again = rnnkit.tasks["csv"].from_data_state(kept, **options)
        after = predictor_of(again, calibration).predict(new)
        assert after.to_csv() == before.to_csv()
        assert after.errors == before.errors
    assert before.values.shape == (100 - 4, 1)
    assert before.index["time"][0] == f"{datetime(2024, 2, 28) + timedelta(hours=307)}"


@pytest.mark.parametrize("rows", [1, 30, 300])
def test_rows_that_are_appended_change_no_earlier_one(file, tmp_path, rows):
    predictor, more = predictor_of(task_of(file)), series(400 + rows, seed=1)
    before = predictor.predict(write(tmp_path / "new.csv", more[:400]))
    after = predictor.predict(write(tmp_path / "new.csv", more))
    np.testing.assert_array_equal(after.values[:396], before.values)
    np.testing.assert_array_equal(after.upper[:396], before.upper)
    assert after.index["time"][:396] == before.index["time"]


def test_columns_in_another_order_and_more_of_them(file, tmp_path, values):
    task = task_of(file, columns="a,b")
    predictor = predictor_of(task)
    plain = predictor.predict(file)
    other = write(tmp_path / "other.csv", values, head="b,c,time,a", row="{other},text,{time},{value!r}")
    assert predictor.predict(other).to_csv() == plain.to_csv()


def test_a_target_that_is_not_there_or_not_known(file, tmp_path, values):
    predictor = predictor_of(task_of(file, columns="b"))
    without = predictor.predict(write(tmp_path / "without.csv", values, head="time,b", row="{time},{other}"))
    assert np.isnan(without.actual).all()
    assert without.errors == ()
    assert any("has no column 'a', so its forecasts are not held against the truth" in note for note in without.notes)
    half = tmp_path / "half.csv"
    half.write_text(
        "".join(file.read_text().splitlines(True)[:201]) + "2024-03-07 08:00:00,,3\n2024-03-07 09:00:00,n/a,4\n"
    )
    forecast = predictor.predict(half)
    assert np.isfinite(forecast.actual).sum() == 200 - 7
    assert any("2 row(s) of 'a' are empty" in note for note in forecast.notes)


REFUSED = {
    "a column that lacks": ("time,aa,b", "{time},{value!r},{other}", "has no column 'a' (did you mean 'aa'?), which"),
    "a cell that is no number": (
        "time,a,b",
        "{time},{value!r}x,{other}",
        "line 2, column 'a': '50.0x' is not a ",
    ),
}


@pytest.mark.parametrize(("head", "row", "said"), REFUSED.values(), ids=REFUSED)
def test_a_table_that_is_unfit_is_refused_in_a_line(file, tmp_path, values, head, row, said):
    new = write(tmp_path / "new.csv", values, head=head, row=row)
    with pytest.raises(DataError) as refused:
        predictor_of(task_of(file)).predict(new)
    assert said in str(refused.value)
    assert "leave_out" not in str(refused.value)


def test_a_table_shorter_than_a_window(file, tmp_path, values):
    new = write(tmp_path / "new.csv", values[:4])
    with pytest.raises(DataError, match=r"new.csv has 4 row\(s\); the run forecasts from 5, so give at least as many"):
        predictor_of(task_of(file)).predict(new)
    forecast = predictor_of(task_of(file)).predict(write(tmp_path / "new.csv", values[:5]))
    assert forecast.index["time"] == ["2024-02-28 07:00:00"]
    assert "1 forecast(s), 3 row(s) ahead: 0 in" in forecast.notes[0]
    assert "1 beyond the last row" in forecast.notes[0]


def test_months_that_come_first_do_so_in_a_table_that_does_not_tell(tmp_path):
    """Of the fourth of March alone nobody could tell."""
    draw = series(400)
    times = [datetime(2024, 1, 1) + timedelta(hours=at) for at in range(400)]
    learnt, new = tmp_path / "learnt.csv", tmp_path / "new.csv"
    learnt.write_text("t,a\n" + "".join(f"{t:%m/%d/%Y %H:%M},{v}\n" for t, v in zip(times, draw, strict=True)))
    day = [datetime(2024, 3, 4) + timedelta(hours=at) for at in range(24)]
    new.write_text("t,a\n" + "".join(f"{t:%m/%d/%Y %H:%M},{v}\n" for t, v in zip(day, draw, strict=False)))
    assert predictor_of(task_of(learnt)).predict(new).index["t"][-1] == "03/05/2024 02:00"


def test_newest_row_first_is_named_in_the_order_of_time(tmp_path, values):
    head, *lines = write(tmp_path / "t.csv", values).read_text().splitlines()
    turned = tmp_path / "turned.csv"
    turned.write_text("\n".join([head, *reversed(lines)]) + "\n")
    plain = predictor_of(task_of(tmp_path / "t.csv")).predict()
    assert predictor_of(task_of(turned, order="newest-first")).predict().to_csv() == plain.to_csv()


def test_without_what_was_measured_it_says_so(file):
    forecast = predictor_of(task_of(file), {}).predict()
    assert np.isnan(forecast.lower).all()
    assert "ridge" not in [error.method for error in forecast.errors]
    assert any(note.startswith("no interval: the run has not kept its residuals") for note in forecast.notes)
    assert any(note.startswith("no ridge: ") for note in forecast.notes)
    assert forecast.columns()["a_lower"] == [""] * 63


def test_a_model_that_is_beaten_is_told_so(file):
    task = task_of(file)
    model = Knows(task)
    nn.init.constant_(model.factor, -1.0)
    forecast = task.predictor(model, task.calibration(model)).predict()
    (line,) = [note for note in forecast.notes if note.startswith("this run does not beat ")]
    assert line == "this run does not beat last value, seasonal naive, ridge on a (by RMSE)"
    good = predictor_of(task).predict(season=24)
    assert not any("last value" in note for note in good.notes if note.startswith("this run does not beat "))


def test_a_model_that_errs_to_one_side_is_told_so(file):
    task = task_of(file)
    model = Knows(task)
    model.mean = model.mean + 20
    forecast = task.predictor(model, task.calibration(model)).predict()
    assert (forecast.lower < forecast.values).any() != (forecast.upper > forecast.values).any()
    assert any(
        note.endswith("of a nearly all of these errors had one sign, so the forecast lies beside its bounds")
        for note in forecast.notes
    )


def test_two_targets(file):
    forecast = predictor_of(task_of(file, target="a,b")).predict()
    assert forecast.targets == ("a", "b")
    assert list(forecast.columns()) == [
        "time",
        *(f"{target}_{kind}" for target in "ab" for kind in ("forecast", "lower", "upper", "actual")),
    ]
    assert [(error.target, error.method) for error in forecast.errors if error.method == "this run"] == [
        ("a", "this run"),
        ("b", "this run"),
    ]


def test_the_default_series_has_rows_without_times():
    task = rnnkit.tasks["csv"](window=4)
    model = rnnkit.Model(task, "gru", hidden_size=4, unroller="loop").eval()
    forecast = task.predictor(model, {}).predict()
    assert list(forecast.index) == ["row"]
    assert forecast.index["row"][0] == "3401"
    assert forecast.index["row"][-1] == "4001"


@pytest.mark.parametrize("interval", [0, 1, -0.5, 90, "0.9", True, float("nan")])
def test_an_interval_that_is_none(file, interval):
    predictor = predictor_of(task_of(file), {})
    with pytest.raises(UsageError, match="it must be a share above 0 and below 1"):
        predictor.predict(interval=interval)
    with pytest.raises(UsageError):
        next(predictor.follow([], interval=interval))


@pytest.mark.parametrize("season", [0, -1, 2.5, "24"])
def test_a_season_that_is_none(file, season):
    with pytest.raises(UsageError, match=r"season is .*; it must be a whole number >= 1"):
        predictor_of(task_of(file), {}).predict(season=season)


def test_it_shows_itself(file):
    forecast = predictor_of(task_of(file)).predict()
    html = forecast._repr_html_()
    assert re.fullmatch(r"<Forecast of \d+ row\(s\): .*_actual>", repr(forecast))
    assert "the last 10 of 63 rows" in html
    assert "seasonal naive" in html
    assert "<title>Forecasts of a from 2024-03-13 04:00:00 to 2024-03-15 18:00:00, 3 row(s) of them not yet" in html
    records = list(forecast.records())
    assert records[0]["time"] == forecast.index["time"][0]
    assert records[0]["a_forecast"] == pytest.approx(forecast.values[0, 0], abs=1e-3)
    assert records[-1]["a_actual"] is None


def test_a_calibration_that_does_not_fit(file):
    task = task_of(file)
    kept = task.calibration(Knows(task))
    for broken in (
        {"ridge": [[1.0]]},
        {**kept, "ridge": [[1.0, 2.0]] * 11},
        {**kept, "residuals": {"total": 3, "levels": [0.5], "values": [[1.0, 2.0]]}},
        {**kept, "pace": ["hours", 1, 31]},
    ):
        with pytest.raises((LookupError, TypeError, ValueError)):
            task.predictor(Knows(task), broken)


@pytest.mark.parametrize(
    ("season", "said"), [(5000, "no row is known 5000 rows before"), (380, "seasonal naive is judged on")]
)
def test_a_season_that_reaches_before_the_table_is_told(file, season, said):
    assert any(said in note for note in predictor_of(task_of(file)).predict(season=season).notes)


@pytest.mark.parametrize("own", [True, False])
def test_a_number_far_from_all_that_trained_is_told(file, tmp_path, values, own):
    """Of the rows that are read alone, and not what the run was trained on."""
    task = task_of(file)
    mean, scale = float(task.mean[0]), float(task.scale[0])
    far = values.copy()
    far[380:383] = mean + scale * np.array([19.0, 30.0, -21.0])
    new = write(file if own else tmp_path / "new.csv", far)
    forecast = predictor_of(task, {}).predict(None if own else new)
    (told,) = (note for note in forecast.notes if "deviations" in note)
    assert told == (
        f"line 383, column a: {far[381]:.6g} is 30 deviations away from {mean:.6g}, the mean of the rows that train, "
        "so forecasts from it are a guess, and so are those from 1 other cell(s), which lie more than 20 away"
    )
    far[380:383], far[9] = 50.0, 1e6
    new = write(file if own else tmp_path / "new.csv", far)
    told = [note for note in predictor_of(task, {}).predict(None if own else new).notes if "deviations" in note]
    assert len(told) == (not own)


def test_a_stream_tells_it_once(file, tmp_path, values):
    far = values[:20].copy()
    far[[2, 9]] = 1e4
    lines = write(tmp_path / "new.csv", far).read_text().splitlines()
    told = [note for one in predictor_of(task_of(file)).follow(lines) for note in one.notes if "deviations" in note]
    assert [note.split(":")[0] for note in told] == ["line 4, column a", "line 11, column a"]
