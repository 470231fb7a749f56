"""Forecasts of all rows up to the horizon: which, how far off, and from which rows."""

from datetime import datetime, timedelta

import numpy as np
import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import UsageError
from rnnkit_tasks.forecast.residuals import Residuals

from .known_series import KEEPS, series, task_of, write

HORIZON = 4


class KnowsAll(nn.Module):
    """Forecasts x(t+s) = 50 + keeps^s (x(t) - 50) for each step s, of normalised windows, exactly."""

    def __init__(self, task, quantiles=1):
        super().__init__()
        self.scale, self.mean = task.scale[:1].double(), task.mean[:1].double()
        self.factors = nn.Parameter(KEEPS ** torch.arange(1, HORIZON + 1, dtype=torch.float64))
        self.quantiles = quantiles

    def forward(self, xs, state=None, *, lengths=None):
        last = xs[..., :1].double() * self.scale + self.mean
        said = (50 + self.factors * (last - 50) - self.mean) / self.scale
        spread = torch.arange(self.quantiles) - (self.quantiles - 1) / 2
        return (said.unsqueeze(-1) + spread).flatten(-2), None


@pytest.fixture
def values():
    return series(400)


@pytest.fixture
def task(tmp_path, values):
    return task_of(write(tmp_path / "t.csv", values), horizon=HORIZON, steps="all", columns="a")


def predictor_of(task, **options):
    model = KnowsAll(task, **options).eval()
    return task.predictor(model, task.calibration(model))


def test_the_targets_of_a_window_are_the_rows_after_it(task):
    for batch in (task.batch(50, torch.Generator().manual_seed(0)), *task.validation(), *task.test()):
        assert batch.targets.shape[1] == HORIZON
        whole = torch.cat([batch.xs[..., 0].t(), batch.targets], dim=1)
        places = [int((task.values[:, 0] == row[0]).nonzero()[0]) for row in whole]
        for at, row in zip(places, whole, strict=True):
            torch.testing.assert_close(row, task.values[at : at + 5 + HORIZON, 0])


def test_no_part_is_forecast_from_its_own_rows_of_another(task):
    """Targets of a part lie in it wholly; each row of it but the first few is the last target of one window."""
    (train,), (held_out,), (test,) = task.parts
    assert (train.start, train.stop) == (5 + HORIZON - 1, 280)
    assert (held_out.start, held_out.stop) == (280 + HORIZON - 1, 340)
    assert (test.start, test.stop) == (340 + HORIZON - 1, 400)


def test_each_row_is_forecast_once_and_the_last_block_begins_in_the_last_row(task, values):
    forecast = predictor_of(task).predict()
    rows = np.arange(340, 404)
    assert forecast.index["time"] == [f"{datetime(2024, 2, 28) + timedelta(hours=at)}" for at in rows.tolist()]
    steps = np.array([int(step) for step in forecast.index["step"]])
    assert steps[-HORIZON:].tolist() == [1, 2, 3, 4]
    ends = rows - steps
    assert ends[-1] == 399
    np.testing.assert_allclose(forecast.values[:, 0], 50 + KEEPS**steps * (values[ends] - 50), rtol=1e-6)


@pytest.mark.parametrize("more", range(HORIZON + 1))
def test_wherever_a_table_ends_each_date_comes_once(task, tmp_path, values, more):
    forecast = predictor_of(task).predict(write(tmp_path / "new.csv", values[: 40 + more]))
    times = [f"{datetime(2024, 2, 28) + timedelta(hours=at)}" for at in range(5, 40 + more + HORIZON)]
    assert forecast.index["time"] == times


def test_from_every_row_and_from_the_last(task, tmp_path, values):
    new = write(tmp_path / "new.csv", values[:40])
    predictor = predictor_of(task)
    every, last = (predictor.predict(new, origins=origins) for origins in ("every", "last"))
    assert len(every.values) == (40 - 5 + 1) * HORIZON
    np.testing.assert_array_equal(every.values[-HORIZON:], last.values)
    assert last.index["step"] == ["1", "2", "3", "4"]
    assert last.index["time"][0] == f"{datetime(2024, 2, 28) + timedelta(hours=40)}"
    with pytest.raises(UsageError, match="origins is 'some'; it must be blocks, every or last"):
        predictor.predict(new, origins="some")


def test_errors_by_step_are_those_of_their_rows(task, values):
    forecast = predictor_of(task).predict(origins="every", season=2)
    rows = {step: np.arange(340 - 1 + step, 400) for step in range(1, HORIZON + 1)}
    for figure in forecast.step_figures():
        step = figure["step"]
        at, truth = rows[step], values[rows[step]]
        season = 2 * -(-step // 2)
        for method, said in {
            "this run": 50 + KEEPS**step * (values[at - step] - 50),
            "last value": values[at - step],
            "seasonal naive": values[at - season],
        }.items():
            assert figure[method] == pytest.approx(np.sqrt(np.square(said - truth).mean()), rel=1e-6)
    assert [figure["step"] for figure in forecast.step_figures()] == [1, 2, 3, 4]
    assert len(forecast.figures()) == 4


def test_ridge_forecasts_each_step_as_it_would_alone(task, tmp_path, values):
    """One solution for all steps is that of each by itself."""
    alone = task_of(tmp_path / "t.csv", horizon=HORIZON, columns="a")
    kept = task.calibration(KnowsAll(task))
    weights = np.array(kept["ridge"])
    assert weights.shape == (5 + 1, HORIZON)
    mine = torch.tensor(weights[:, -1])
    (rows,) = alone.parts.train
    windows = torch.stack([alone.series[at - HORIZON - 4 : at - HORIZON + 1].flatten() for at in rows]).double()
    truth = alone.values[rows.start : rows.stop, 0].double()
    best = np.linalg.lstsq(np.c_[windows.numpy(), np.ones(len(rows))], truth.numpy(), rcond=None)[0]
    least = float(np.square(windows.numpy() @ best[:-1] + best[-1] - truth.numpy()).mean())
    assert float((windows @ mine[:-1] + mine[-1] - truth).square().mean()) == pytest.approx(least, rel=1e-3)


def test_bounds_widen_with_the_steps(tmp_path):
    task = task_of(write(tmp_path / "long.csv", series(6000)), horizon=HORIZON, steps="all", columns="a")
    forecast = predictor_of(task).predict(interval=0.8, origins="every")
    steps = np.array([int(step) for step in forecast.index["step"]])
    for step in range(1, HORIZON + 1):
        deviation = np.sqrt(sum(KEEPS ** (2 * k) for k in range(step)))
        widths = (forecast.upper - forecast.lower)[steps == step]
        assert widths == pytest.approx(2 * 1.2816 * deviation, rel=0.1)
        inside = (forecast.actual >= forecast.lower) & (forecast.actual <= forecast.upper)
        assert inside[(steps == step) & np.isfinite(forecast.actual[:, 0])].mean() == pytest.approx(0.8, abs=0.05)


def test_quantiles_are_the_bounds_where_they_are_asked_for(tmp_path, values):
    file = write(tmp_path / "t.csv", values)
    task = task_of(file, horizon=HORIZON, steps="all", columns="a", quantiles="0.05,0.5,0.95")
    assert task.output_size == 3 * HORIZON
    predictor = predictor_of(task, quantiles=3)
    forecast = predictor.predict()
    scale = float(task.scale[0])
    np.testing.assert_allclose(forecast.upper - forecast.values, scale, rtol=1e-5)
    np.testing.assert_allclose(forecast.values - forecast.lower, scale, rtol=1e-5)
    assert "bounds: the quantiles 5 %, 95 % that the run was trained to give" in forecast.notes
    other = predictor.predict(interval=0.5)
    assert any("it was trained to give 0.05, 0.5, 0.95 and not these" in note for note in other.notes)


def test_the_quantile_loss_is_least_at_the_quantiles():
    draws = torch.distributions.Exponential(1.0).sample((4000, 1))
    task = rnnkit.tasks["csv"](quantiles="0.1,0.5,0.9", target="load")
    best = torch.quantile(draws, torch.tensor([0.1, 0.5, 0.9]))
    least = float(task.loss(best.expand(4000, 3), draws))
    for at in range(3):
        for change in (-0.1, 0.1):
            other = best.clone()
            other[at] += change
            assert float(task.loss(other.expand(4000, 3), draws)) > least
    shares, over = torch.tensor([0.1, 0.5, 0.9]), draws - best
    by_hand = torch.where(over >= 0, shares * over, (shares - 1) * over).mean()
    assert least == pytest.approx(float(by_hand), rel=1e-5)
    assert float(task.metric(best.expand(4000, 3), draws)) == pytest.approx(float((draws - best[1]).square().mean()))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"steps": "some"}, "steps is 'some'; it must be all or last"),
        ({"quantiles": "0.9"}, "0.5 must be among them, which is the forecast"),
        ({"quantiles": "0.5,0.1"}, "it must be rising shares"),
        ({"quantiles": "0,0.5"}, "it must be rising shares"),
        ({"quantiles": "half"}, "it must be rising shares"),
        ({"missing": "drop"}, "missing is 'drop'; it must be error, forward, interpolate or mask"),
        ({"calendar": "minute"}, "calendar is 'minute'; it must be hour, weekday, year, none or auto"),
        ({"split": "70,30"}, "split is '70,30'; it must be percentages"),
        ({"split": "80,0,20"}, "it must be percentages"),
        ({"split": "2024-06-01,2024-03-01"}, "it must be percentages"),
        ({"zone": "Europe/Berlinn"}, r"which no time zone is called \(did you mean 'Europe/Berlin'\?\)"),
        ({"every": "fortnight"}, "every is 'fortnight'; it must be a step in time, such as 15min"),
        ({"decimal": ";"}, "decimal is ';'; it must be , or . as decimals begin with"),
        ({"decimal": ",", "delimiter": ","}, "delimiter and decimal are both ','; they must differ"),
        ({"key": True}, "key is True; it must be the name of a column"),
    ],
    ids=str,
)
def test_options_that_make_no_sense(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        rnnkit.tasks["csv"](**options)


def test_a_run_of_the_first_rnnkit_is_read(task, tmp_path):
    """It kept no features, series or cuts, and forecast the last row alone."""
    alone = task_of(tmp_path / "t.csv", horizon=HORIZON)
    state = alone.data_state()
    for name in ("features", "series", "cuts", "steps", "missing", "quantiles", "level"):
        del state[name]
    for name in ("kinds", "ahead", "key", "calendar"):
        del state["roles"][name]
    for name in ("decimal", "key", "every", "zone"):
        del state["reading"][name]
    options = {"file": str(tmp_path / "t.csv"), "target": "a", "window": 5, "horizon": HORIZON}
    again = rnnkit.tasks["csv"].from_data_state(state, **options)
    assert again.fingerprint() == alone.fingerprint()
    assert (again.output_size, again.parts) == (alone.output_size, alone.parts)
    for one, other in zip(again.validation(), alone.validation(), strict=True):
        assert torch.equal(one.targets, other.targets)


class SaysNothing(nn.Module):
    """Says 0 of every step and target."""

    def __init__(self, task):
        super().__init__()
        self.size = task.output_size
        self.nothing = nn.Parameter(torch.zeros(1))

    def forward(self, xs, state=None, *, lengths=None):
        return xs.new_zeros(*xs.shape[:2], self.size), None


@pytest.mark.parametrize("columns", [None, "b,a"])
def test_a_change_of_nothing_is_the_last_value(tmp_path, values, columns):
    file = write(tmp_path / "t.csv", values)
    task = task_of(file, horizon=HORIZON, steps="all", level="last", columns=columns)
    assert "forecasts are changes from the last value (as asked)" in task.data_summary()
    model = SaysNothing(task).eval()
    assert rnnkit.evaluate(model, task).metric == pytest.approx(task.baselines()["last value"], rel=1e-5)
    again = rnnkit.tasks["csv"].from_data_state(
        task.data_state(), file=str(file), target="a", window=5, horizon=HORIZON, columns=columns
    )
    forecast = again.predictor(model, again.calibration(model)).predict()
    steps = np.array([int(step) for step in forecast.index["step"]])
    np.testing.assert_allclose(forecast.values[:, 0], values[np.arange(340, 404) - steps], rtol=1e-6)
    found = {error.method: error.rmse for error in forecast.errors if error.step is None}
    assert found["this run"] == pytest.approx(found["last value"], rel=1e-5)
    parts = list(again.predictor(model, {}).follow(file.read_text().splitlines()[:40]))
    np.testing.assert_allclose([part.values[0, 0] for part in parts], values[4:39], rtol=1e-6)


def test_changes_are_told_where_the_last_value_is_nearer(tmp_path, values):
    file = write(tmp_path / "t.csv", values.cumsum())
    near = task_of(file, level="auto")
    assert near.data_summary().endswith("forecasts are changes from the last value")
    noise = np.random.default_rng(0).normal(size=400)
    far = task_of(write(tmp_path / "noise.csv", noise), level="auto")
    assert "changes" not in far.data_summary()
    assert task_of(file, level="auto", columns="b")._learnt.level == ()
    with pytest.raises(UsageError, match="level is 'last', and target 'a' is no input; add it"):
        task_of(file, level="last", columns="b")
    with pytest.raises(UsageError, match="level is 'first'; it must be auto, last or mean"):
        task_of(file, level="first")


def test_quantiles_are_changes_too(tmp_path, values):
    file = write(tmp_path / "t.csv", values.cumsum())
    task = task_of(file, level="last", quantiles="0.05,0.5,0.95")
    forecast = task.predictor(SaysNothing(task).eval(), {}).predict()
    np.testing.assert_allclose(forecast.upper, forecast.values)
    np.testing.assert_allclose(forecast.values[:, 0], values.cumsum()[340 - 3 : 400], rtol=1e-6)


def test_a_forecast_lies_within_its_bounds_though_quantiles_cross(tmp_path, values):
    task = task_of(
        write(tmp_path / "t.csv", values), horizon=HORIZON, steps="all", columns="a", quantiles="0.05,0.5,0.95"
    )

    class Crossed(KnowsAll):
        def forward(self, xs, state=None, *, lengths=None):
            said, state = super().forward(xs)
            return said.unflatten(-1, (HORIZON, 3))[..., [1, 0, 2]].flatten(-2), state

    forecast = task.predictor(Crossed(task, quantiles=3).eval(), {}).predict()
    assert (forecast.lower <= forecast.values).all()
    assert (forecast.upper >= forecast.values).all()
    assert any("a quantile lay beyond the median, and is put to it" in note for note in forecast.notes)


def test_the_errors_of_changes_are_those_of_the_forecasts(tmp_path, values):
    """Bounds of a model that says no change come from how far off the last value is, not from how far from the mean."""
    file = write(tmp_path / "t.csv", values.cumsum())
    task = task_of(file, level="last", columns="a")
    model = SaysNothing(task).eval()
    forecast = task.predictor(model, task.calibration(model)).predict(interval=0.5)
    off = values.cumsum()[280:340] - values.cumsum()[277:337]
    middle = np.sort(off)
    assert middle[10] < (forecast.lower - forecast.values)[0, 0] < middle[20]
    assert middle[40] < (forecast.upper - forecast.values)[0, 0] < middle[50]


def test_of_several_forecasts_of_a_row_the_latest_is_drawn(task, tmp_path, values):
    forecast = predictor_of(task).predict(write(tmp_path / "new.csv", values[:40]), origins="every")
    (line,) = [line for line in forecast.plot().axes[0].lines if line.get_label() == "forecast"]
    drawn = line.get_ydata()
    assert len(drawn) == 40 - 5 + HORIZON
    np.testing.assert_allclose(drawn[:-HORIZON], 50 + KEEPS * (values[4:39] - 50), rtol=1e-6)  # one row ahead each


def test_residuals_of_columns_of_which_fewer_are_known():
    """The levels are those of the column with the fewest; the other's values at them are its own quantiles."""
    many, few = np.arange(1.0, 100.0), np.arange(1.0, 10.0)
    columns = np.full((99, 2), np.nan)
    columns[:, 0], columns[:9, 1] = many, few
    residuals = Residuals.measured(columns)
    assert residuals.total == 9
    np.testing.assert_allclose(residuals.values[:, 0], 100 * residuals.levels)
    np.testing.assert_allclose(residuals.values[:, 1], few)
