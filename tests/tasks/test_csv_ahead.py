"""What is known ahead of the rows that are forecast, and rows of which it is not."""

from datetime import timedelta

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.errors import DataError

from .shops import BEGIN, Csv, ahead, predictor_of


def test_what_is_known_ahead_reaches_the_model(tmp_path):
    """A target that is what will be known a row later can be learnt by nothing else."""
    draw = np.random.default_rng(0)
    feast = draw.random(300) < 0.3
    path = tmp_path / "t.csv"
    rows = [
        f"{BEGIN + timedelta(days=at):%Y-%m-%d},{5.0 * feast[at]},{'yes' if feast[at] else 'no'}" for at in range(290)
    ]
    later = [f"{BEGIN + timedelta(days=at):%Y-%m-%d},,{'yes' if feast[at] else 'no'}" for at in range(290, 300)]
    path.write_text("\n".join(["day,a,feast", *rows, *later]))
    options = {"file": str(path), "known": "feast", "window": 3, "horizon": 4, "calendar": "none"}
    task = Csv(**options)
    assert task.input_size == 2 + 4
    assert task.baselines()["linear model"] < 1e-6
    batch = task.batch(40, torch.Generator().manual_seed(0))
    torch.testing.assert_close(batch.xs[-1, :, 2:] * 5, batch.targets * task.scale + task.mean, atol=1e-4, rtol=1e-4)
    forecast = predictor_of(task).predict()
    assert forecast.index["day"][-1] == f"{BEGIN + timedelta(days=293):%Y-%m-%d}"
    ridge = next(error for error in forecast.errors if error.method == "ridge" and error.step is None)
    assert ridge.rmse < 1e-3
    again = rnnkit.tasks["csv"].from_data_state(task.data_state(), **options)
    assert again.fingerprint() == task.fingerprint()


def test_rows_that_are_not_known_ahead_are_not_forecast(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"{BEGIN + timedelta(days=at):%Y-%m-%d},{at % 5},{'yes' if at % 7 else 'no'}" for at in range(100)]
    path.write_text("\n".join(["day,a,feast", *rows]))
    predictor = predictor_of(Csv(file=str(path), known="feast", window=3, horizon=4))
    assert predictor.predict().index["day"][-1] == f"{BEGIN + timedelta(days=99):%Y-%m-%d}"
    short = tmp_path / "short.csv"
    short.write_text("\n".join(["day,a,feast", *rows[:5]]))
    with pytest.raises(DataError, match=r"feast is not known of the 4 row\(s\) after the last one"):
        predictor.predict(short)


@pytest.mark.parametrize(
    ("later", "last", "back"),
    [("1011", 99, 0), ("10111", 99, 0), ("101", 98, 1), ("1", 96, 3), (["1", "0", "", ""], 97, 2), (["", ""], 95, 4)],
)
def test_the_last_row_that_is_forecast_from_is_told_where_less_is_known_ahead(tmp_path, later, last, back):
    """Rows without the feast are not known ahead, any more than rows that are not there."""
    options = {"known": "feast", "target": "a", "window": 3, "horizon": 4, "calendar": "none", "leave_out": "shop"}
    predictor = predictor_of(Csv(file=str(ahead(tmp_path / "t.csv", "1011")), **options))
    new = ahead(tmp_path / "new.csv", later)
    row = f"{BEGIN + timedelta(days=last):%Y-%m-%d}"
    where = f"so the last forecast is made from {row}, {back} row(s) before the last one"
    remedy = "give 4 row(s) with feast beyond the last one"
    for origins in ("blocks", "every", "last"):
        if origins == "last" and back == 4:
            with pytest.raises(DataError) as refused:
                predictor.predict(new, origins=origins)
            missing = f"new.csv: feast is not known of any row after the last one, {where}, and none lies beyond it; "
            assert str(refused.value).endswith(missing + remedy)
            continue
        forecast = predictor.predict(new, origins=origins)
        assert forecast.index["day"][-1] == f"{BEGIN + timedelta(days=last + 4):%Y-%m-%d}"
        told = [note for note in forecast.notes if "feast" in note]
        assert told == [f"feast is not known of all 4 row(s) after the last one, {where}; {remedy}"] * bool(back)


def test_a_gap_in_what_is_known_ahead_is_not_filled_unasked(tmp_path):
    options = {"known": "feast", "target": "a", "window": 3, "horizon": 4, "calendar": "none", "leave_out": "shop"}
    path, new = ahead(tmp_path / "t.csv", "1011"), ahead(tmp_path / "new.csv", ["1", "", "", "1"])
    with pytest.raises(DataError, match=r"line 103, column 'feast': the cell is empty; correct it"):
        predictor_of(Csv(file=str(path), **options)).predict(new)
    assert predictor_of(Csv(file=str(path), missing="forward", **options)).predict(new, origins="last").values.size == 4


def test_of_several_series_each_has_what_is_known_ahead(tmp_path):
    options = {"known": "feast", "target": "a", "window": 3, "horizon": 4, "calendar": "none", "key": "shop"}
    predictor = predictor_of(Csv(file=str(ahead(tmp_path / "t.csv", "1011", key=True)), **options))
    new = ahead(tmp_path / "new.csv", "1011", key=True)
    lines = new.read_text().splitlines()
    new.write_text("\n".join(lines[:-1]))  # of south three rows are left
    (said,) = (note for note in predictor.predict(new, origins="last").notes if "feast" in note)
    assert f"the last forecast of series 'south' is made from {BEGIN + timedelta(days=98):%Y-%m-%d}, 1 row(s)" in said
    new.write_text("\n".join([lines[0], *lines[1:13:2], *lines[-8:]]))  # six rows of north, and nothing but ahead
    (said,) = (note for note in predictor.predict(new).notes if note.startswith("no forecast"))
    assert said.startswith("no forecast of 1 series, 'south' (0 row(s)): the run forecasts from 3 row(s)")
    new.write_text("\n".join([lines[0], *lines[1:13:2], *lines[2:10:2], lines[-8], *lines[-6::2], *lines[-2:-1]]))
    (said,) = (note for note in predictor.predict(new).notes if note.startswith("no forecast"))
    assert said == (
        "no forecast of 1 series, 'south': feast is not known of the 4 row(s) after their windows; give rows that hold "
        "it below"
    )
