"""Mackey-Glass and Lorenz: the series against finer and other solvers; windows, warm-up, NRMSE and baselines."""

import math

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError
from rnnkit_tasks._runge_kutta import runge_kutta
from rnnkit_tasks._series import HELD_OUT, TRAIN
from rnnkit_tasks.lorenz import INTERVAL, LYAPUNOV, lorenz
from rnnkit_tasks.mackey_glass import mackey_glass

NAMES = ("mackey-glass", "lorenz")
both = pytest.mark.parametrize("name", NAMES)


def test_runge_kutta_is_of_order_four():
    def error(steps):
        point, time = (1.0, 0.0), 0.0
        for _ in range(steps):
            # x' = x cos t, y' = x: with the time of the beginning bound
            point = runge_kutta(lambda s, p, t=time: (p[0] * math.cos(t + s), p[0]), point, 2 / steps)
            time += 2 / steps
        return abs(point[0] - math.exp(math.sin(2)))

    assert error(10) / error(20) == pytest.approx(16, rel=0.2)
    assert error(160) < 1e-8


def euler(tau, units, substeps):
    """Return the Mackey-Glass series by Euler's method, which needs no value between two steps."""
    x = [1.2] * (tau * substeps + 1)
    for _ in range(units * substeps):
        delayed = x[-1 - tau * substeps]
        x.append(x[-1] + (0.2 * delayed / (1 + delayed**10) - 0.1 * x[-1]) / substeps)
    return np.array(x[(tau + 1) * substeps :: substeps])


def test_mackey_glass_is_the_limit_of_eulers_method():
    coarse, fine = euler(17, 100, 500), euler(17, 100, 1000)
    series = mackey_glass(17, units=100)
    assert abs(series - fine).max() < 1e-3
    assert abs(series - (2 * fine - coarse)).max() < 1e-6  # Richardson


def test_mackey_glass_is_that_of_a_much_finer_step():
    series, fine = mackey_glass(17, units=200), mackey_glass(17, units=200, substeps=50)
    assert abs(series - fine).max() < 1e-6
    assert abs(series - fine).max() > 0


@pytest.mark.parametrize(("tau", "deviation"), [(17, 0.226), (30, 0.283)])
def test_mackey_glass_keeps_to_the_known_range(tau, deviation):
    series = mackey_glass(tau)[1000:]
    assert 0.2 < series.min() < 0.5
    assert 1.2 < series.max() < 1.4
    assert series.std() == pytest.approx(deviation, abs=0.003)


def test_lorenz_is_what_scipy_integrates():
    integrate = pytest.importorskip("scipy.integrate")

    def flow(_, p):
        return [10 * (p[1] - p[0]), p[0] * (28 - p[2]) - p[1], p[0] * p[1] - 8 / 3 * p[2]]

    times = np.arange(1, 101) * INTERVAL
    expected = integrate.solve_ivp(flow, (0, times[-1]), [1, 1, 1], "DOP853", times, rtol=1e-12, atol=1e-12).y.T
    series = lorenz(100)
    assert abs(series - expected).max() < 1e-3
    assert abs(lorenz(100, substeps=50) - expected).max() < 1e-7


def test_lorenz_has_the_known_statistics():
    series = lorenz()[1000:]
    x, y, z = series.T
    assert z.mean() == pytest.approx(23.55, abs=0.2)
    assert (x.mean(), y.mean()) == pytest.approx((0, 0), abs=1)
    assert (x.std(), z.std()) == pytest.approx((7.92, 8.62), abs=0.15)
    # In the mean x' = y' = z' = 0, and so is the derivative of x²: <xy> = β <z> and <x²> = <xy>.
    assert (x * y).mean() == pytest.approx(8 / 3 * z.mean(), rel=0.01)
    assert (x * x).mean() == pytest.approx((x * y).mean(), rel=0.01)


def test_lorenz_diverges_at_the_known_rate():
    point = tuple(lorenz()[1000])
    one, other = [np.array(point)], [np.array(point) + np.array([1e-9, 0, 0])]
    for path in (one, other):
        for _ in range(1500):
            path.append(np.array(runge_kutta(flow_of_lorenz, tuple(path[-1]), 0.01)))
    apart = np.log(np.linalg.norm(np.array(one) - np.array(other), axis=1))
    rate = (apart[1500] - apart[200]) / 13
    assert rate == pytest.approx(LYAPUNOV, abs=0.35)  # over so short a time


def flow_of_lorenz(_, p):
    return 10 * (p[1] - p[0]), p[0] * (28 - p[2]) - p[1], p[0] * p[1] - 8 / 3 * p[2]


@both
def test_windows_are_of_the_series_and_targets_are_what_comes_later(name):
    task = rnnkit.tasks[name](seq_len=20, warm_up=6)
    batch = task.batch(200, torch.Generator().manual_seed(0))
    assert batch.xs.shape == batch.targets.shape == (20, 200, task.input_size)
    assert batch.targets[:6].isinf().all()
    series = task.series.tolist()
    for window, targets in zip(batch.xs.unbind(1), batch.targets.unbind(1), strict=True):
        start = series.index(window[0].tolist())
        assert start + 20 + task.horizon <= TRAIN
        assert torch.equal(window, task.series[start : start + 20])
        assert torch.equal(targets[6:], task.series[start + 6 + task.horizon : start + 20 + task.horizon])


@both
def test_the_rows_that_train_have_mean_zero_and_deviation_one(name):
    task = rnnkit.tasks[name]()
    assert len(task.series) == TRAIN + HELD_OUT
    torch.testing.assert_close(task.series[:TRAIN].mean(0), torch.zeros(task.input_size), atol=1e-4, rtol=0)
    torch.testing.assert_close(task.series[:TRAIN].std(0), torch.ones(task.input_size), atol=1e-3, rtol=0)


@both
def test_every_held_out_row_is_forecast_once(name):
    task = rnnkit.tasks[name]()
    (batch,) = task.validation()
    rows = {tuple(row): at for at, row in enumerate(task.series.tolist())}
    known = batch.targets[batch.targets.isfinite().all(-1)]
    forecast = sorted(rows[tuple(row)] for row in known.tolist())
    first = TRAIN + task.warm_up + task.horizon
    assert forecast == list(range(first, first + len(forecast)))
    assert TRAIN + HELD_OUT - forecast[-1] <= task.seq_len - task.warm_up
    assert min(rows[tuple(row)] for row in batch.xs.flatten(0, 1).tolist()) == TRAIN


@both
def test_baselines_are_the_metric_of_what_they_say(name):
    task = rnnkit.tasks[name]()
    (batch,) = task.validation()
    baselines = task.baselines()
    assert list(baselines) == ["last value", "mean", "linear model"]
    assert float(task.metric(batch.xs, batch.targets)) == pytest.approx(baselines["last value"], rel=1e-5)
    assert float(task.metric(torch.zeros_like(batch.xs), batch.targets)) == pytest.approx(baselines["mean"], rel=1e-5)


@both
def test_the_linear_model_is_least_squares(name):
    task = rnnkit.tasks[name](seq_len=12, warm_up=5)
    series = task.series.double()
    ahead = task.warm_up + task.horizon
    inputs = torch.stack([series[row - ahead : row - task.horizon + 1].flatten() for row in range(ahead, len(series))])
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], 1)
    targets, at = series[ahead:], TRAIN - ahead
    weights = torch.linalg.lstsq(inputs[:at], targets[:at], driver="gelsd").solution
    (batch,) = task.validation()
    judged = slice(TRAIN, TRAIN + int(batch.targets.isfinite().all(-1).sum()))
    error = (inputs[judged] @ weights - targets[judged]).square().mean().sqrt()
    assert task.baselines()["linear model"] == pytest.approx(float(error), rel=0.02)


@both
def test_the_metric_is_the_root_mean_square_of_targets_that_are_there(name):
    task = rnnkit.tasks[name]()
    targets = torch.tensor([[[torch.inf]], [[1.0]], [[3.0]]])
    outputs = torch.tensor([[[7.0]], [[2.0]], [[0.0]]], requires_grad=True)
    assert float(task.loss(outputs, targets).detach()) == 5
    assert float(task.metric(outputs.detach(), targets)) == pytest.approx(5**0.5)
    (gradient,) = torch.autograd.grad(task.loss(outputs, targets), outputs)
    assert gradient.flatten().tolist() == [0, 1, -3]
    nothing = task.loss(outputs[:1], targets[:1])
    assert float(nothing.detach()) == 0


class Flow(torch.nn.Module):
    """The Lorenz system itself, which knows each next row but for an error."""

    def __init__(self, task, error):
        super().__init__()
        self.task, self.error, self.weight = task, error, torch.nn.Parameter(torch.zeros(1))

    def forward(self, xs, state=None, *, lengths=None):
        rows = xs.double().flatten(0, 1) * torch.tensor(self.task.scale) + torch.tensor(self.task.mean)
        points = tuple(rows.t())
        for _ in range(5):
            points = runge_kutta(flow_of_lorenz, points, 0.01)
        outputs = (torch.stack(points, 1) - torch.tensor(self.task.mean)) / torch.tensor(self.task.scale)
        return (outputs + self.error).view(xs.shape), None


def test_a_free_run_of_the_system_itself_lasts_and_one_with_an_error_does_not():
    torch.set_default_dtype(torch.float64)
    try:
        task = rnnkit.tasks["lorenz"]()
        times = [task.further_figures(Flow(task, error)).popitem() for error in (0, 1e-3, math.nan)]
    finally:
        torch.set_default_dtype(torch.float32)
    assert {name for name, _ in times} == {"Lyapunov times of a free run"}
    longest = 200 * INTERVAL * LYAPUNOV
    lasted = [time for _, time in times]
    assert lasted[0] == pytest.approx(longest)
    assert 1 < lasted[1] < longest / 2
    assert lasted[2] == 0


@pytest.mark.parametrize(("coordinates", "columns"), [("x", [0]), ("zx", [2, 0]), ("xyz", [0, 1, 2])])
def test_coordinates_are_columns(coordinates, columns):
    whole, some = rnnkit.tasks["lorenz"](), rnnkit.tasks["lorenz"](coordinates=coordinates)
    assert some.input_size == some.output_size == len(columns)
    assert torch.equal(some.series, whole.series[:, columns])


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("lorenz", {"coordinates": "xa"}, "coordinates is 'xa'; give some of x, y and z, such as xz"),
        ("lorenz", {"coordinates": "xx"}, "coordinates is 'xx'; give some of x, y and z, such as xz"),
        ("lorenz", {"coordinates": ""}, "coordinates is ''; give some of x, y and z, such as xz"),
        ("lorenz", {"coordinates": 3}, "coordinates is 3; give some of x, y and z, such as xz"),
        ("lorenz", {"warm_up": 50}, "warm_up is 50; it must be less than seq_len, which is 50"),
        ("lorenz", {"seq_len": 1000}, "seq_len is 1000 and horizon 1; their sum must be 1000 or less"),
        ("mackey-glass", {"warm_up": -1}, "warm_up is -1; it must be a whole number >= 0"),
        ("mackey-glass", {"horizon": 0}, "horizon is 0; it must be a whole number >= 1"),
        ("mackey-glass", {"tau": 4}, "tau is 4; it must be a whole number >= 5"),
        ("mackey-glass", {"tau": 201}, "tau is 201; it must be 200 or less"),
    ],
)
def test_options_that_make_no_sense(name, options, sentence):
    with pytest.raises(UsageError, match=f"task '{name}': {sentence}"):
        rnnkit.tasks[name](**options)
