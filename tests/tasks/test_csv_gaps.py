"""Numbers that are missing: what stands for them, that nothing is learnt from later rows, and that none is a target."""

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.errors import DataError
from rnnkit_tasks.forecast.gaps import forward, gap_starts, interpolated
from rnnkit_tasks.table.series import Series

from .known_series import Knows, task_of

NAN = np.nan
ONE = [Series("", range(8))]


def column(*cells):
    return np.array(cells, dtype=float)[:, None]


GAPPY = column(NAN, 1, NAN, NAN, 4, 5, NAN, NAN)


def test_the_last_one_before():
    assert forward(GAPPY, ONE)[:, 0].tolist() == [0, 1, 1, 1, 4, 5, 5, 5]


def test_a_line_between_neighbours():
    assert interpolated(GAPPY, ONE)[:, 0].tolist() == [1, 1, 2, 3, 4, 5, 5, 5]


def test_where_gaps_begin():
    assert gap_starts(GAPPY, ONE)[:, 0].tolist() == [0, 2, 2, 2, 5, 6, 6, 6]


@pytest.mark.parametrize("fill", [forward, interpolated])
def test_no_series_fills_another(fill):
    series = [Series("x", range(4)), Series("y", range(4, 8))]
    values = column(1, 2, 3, NAN, NAN, 6, 7, 8)
    filled = fill(values, series)[:, 0]
    assert filled[3] == 3
    assert filled[4] == (0 if fill is forward else 6)
    assert gap_starts(values, series)[4, 0] == 4


def write(path, values):
    """Write a table with an empty cell for each NaN."""
    lines = [f"{'' if np.isnan(a) else repr(a)},{row % 7}" for row, a in enumerate(values.tolist())]
    path.write_text("a,b\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def values():
    draw = np.random.default_rng(0)
    made = 50 + draw.normal(size=300).cumsum()
    made[draw.random(300) < 0.2] = NAN
    return made


@pytest.mark.parametrize("policy", ["forward", "interpolate", "mask"])
def test_nothing_is_learnt_from_what_lies_ahead(tmp_path, values, policy):
    """What comes after the last row of a window changes nothing in it."""
    file = write(tmp_path / "t.csv", values)
    task = task_of(file, missing=policy)
    frame = task._learnt.frame(task._learnt.source.read(), [300], leave=True)
    for end in range(200, 260):
        other = values.copy()
        other[end + 1 :] = 1000.0
        changed = task._learnt.source._replace(path=write(tmp_path / "other.csv", other)).read()
        again = task._learnt.frame(changed, [300], leave=True)
        ends = torch.tensor([end])
        assert torch.equal(again.windows.ending(ends), frame.windows.ending(ends))


def test_a_line_is_drawn_within_a_window(tmp_path):
    values = np.arange(300.0)
    values[202:205] = NAN
    task = task_of(write(tmp_path / "t.csv", values), missing="interpolate", window=8)
    window = task._frame.windows.ending(torch.tensor([207]))[:, 0, 0] * task.scale[0] + task.mean[0]
    torch.testing.assert_close(window, torch.arange(200.0, 208.0), rtol=1e-4, atol=1e-3)
    within = task._frame.windows.ending(torch.tensor([203]))[:, 0, 0] * task.scale[0] + task.mean[0]
    torch.testing.assert_close(within, torch.tensor([196.0, 197, 198, 199, 200, 201, 201, 201]), rtol=1e-4, atol=1e-3)


def test_masks_are_inputs(tmp_path, values):
    task = task_of(write(tmp_path / "t.csv", values), missing="mask")
    assert task.input_size == 3
    flags = task.series[:, 2].numpy()
    np.testing.assert_array_equal(flags, np.isnan(values))
    assert (task.series[:, 0].numpy()[np.isnan(values)] == 0).all()


@pytest.mark.parametrize("policy", ["forward", "interpolate", "mask"])
def test_what_is_missing_is_no_target(tmp_path, values, policy):
    task = task_of(write(tmp_path / "t.csv", values), missing=policy)
    np.testing.assert_array_equal(np.isnan(task.values[:, 0].numpy()), np.isnan(values))
    known = values[~np.isnan(values)]
    assert float(task.mean[0]) == pytest.approx(values[:210][~np.isnan(values[:210])].mean(), rel=1e-6)
    assert len(known) < 300
    targets = torch.tensor([[1.0], [torch.nan], [3.0]])
    outputs = torch.tensor([[2.0], [7.0], [3.0]], requires_grad=True)
    loss = task.loss(outputs, targets)
    loss.backward()
    assert float(loss.detach()) == 0.5
    assert outputs.grad.flatten().tolist() == [1.0, 0.0, 0.0]
    assert all(np.isfinite(list(task.baselines().values())))


def test_the_validation_weighs_what_is_known(tmp_path, values):
    """The mean over all held-out targets that are known, whichever batch they lie in."""
    many = np.concatenate([values] * 20)
    many[4300:4490] = NAN
    task = task_of(write(tmp_path / "t.csv", many), missing="forward", window=5)
    model = Knows(task).eval()
    figures = rnnkit.evaluate(model, task)
    batches = list(task.validation())
    assert len(batches) > 1
    outputs = torch.cat([model(batch.xs)[0][-1].detach() for batch in batches])
    targets = torch.cat([batch.targets for batch in batches])
    known = targets.isfinite()
    expected = float((outputs[known] - targets[known]).square().mean())
    assert figures.metric == pytest.approx(expected, rel=1e-6)


def test_a_task_with_targets_that_are_missing_keeps_its_promises(tmp_path, values):
    file = write(tmp_path / "t.csv", values)
    report = rnnkit.testing.check_task(rnnkit.tasks["csv"], file=str(file), window=5, missing="forward")
    assert report.ok, report


@pytest.mark.parametrize("policy", ["forward", "mask"])
def test_a_stream_fills_gaps_as_the_table_does(tmp_path, values, policy):
    file = write(tmp_path / "t.csv", values)
    task = task_of(file, missing=policy)
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", hidden_size=4, unroller="loop").eval()  # reads the whole window
    predictor = task.predictor(model, task.calibration(model))
    whole = predictor.predict(file)
    parts = list(predictor.follow(file.read_text().splitlines()))
    np.testing.assert_allclose([part.values[0, 0] for part in parts], whole.values[:, 0], rtol=1e-4)


def test_a_table_with_gaps_is_forecast_and_judged_where_it_is_known(tmp_path, values):
    task = task_of(write(tmp_path / "t.csv", values), missing="forward")
    model = Knows(task).eval()
    forecast = task.predictor(model, task.calibration(model)).predict()
    assert np.isfinite(forecast.values).all()
    np.testing.assert_array_equal(np.isnan(forecast.actual[:45, 0]), np.isnan(values[255:]))
    assert any(f"{int(np.isnan(values[255:]).sum())} row(s) of 'a' are empty" in note for note in forecast.notes)


def test_where_nothing_is_known_yet_the_last_value_says_nothing(tmp_path, values):
    """And not 0, which would be a number of the table like any other."""
    task = task_of(write(tmp_path / "t.csv", values), missing="forward", columns="b")
    new = np.concatenate([np.full(40, NAN), np.arange(20.0) + 50])
    predictor = task.predictor(Knows(task).eval(), task.calibration(Knows(task).eval()))
    forecast = predictor.predict(write(tmp_path / "new.csv", new))
    found = {error.method: error for error in forecast.errors}
    assert found["this run"].rows == 20
    assert (found["last value"].rows, found["last value"].mae) == (20 - 3, 3.0)


MEAN = "the mean of the rows that train"


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (
            "forward",
            f"the last one before stands for them, and before the first one (a 30, on 2) {MEAN} (of yes/no: no) (as",
        ),
        (
            "interpolate",
            f"last one before, and before the first one (a 30, on 2) that one, where a window ends there {MEAN}",
        ),
        ("mask", f"{MEAN} (of yes/no: no) stands for them, and an input says so"),
    ],
)
def test_what_stands_before_the_first_number_is_told(tmp_path, policy, said):
    values = np.arange(200.0) % 9
    values[:30] = values[100] = NAN
    path = tmp_path / "t.csv"
    rows = [
        f"{'' if np.isnan(a) else a},{'' if row < 2 else 'yes' if row % 3 else 'no'}" for row, a in enumerate(values)
    ]
    path.write_text("\n".join(["a,on", *rows]))
    line = task_of(path, missing=policy).data_summary()
    assert "missing: a 31, on 2: " in line
    assert said in line
    task = task_of(write(tmp_path / "plain.csv", values), missing="forward")
    assert f"before the first one (a 30) {MEAN} (as asked)" in task.data_summary()
    assert float(task.series[0, 0]) == 0


def test_forecasts_from_windows_without_a_number_are_told(tmp_path):
    values = np.arange(200.0) % 9
    path = write(tmp_path / "t.csv", values)
    task = task_of(path, missing="forward")
    model = Knows(task).eval()
    predictor = task.predictor(model, task.calibration(model))
    said = (
        f"of 'a' are from windows without a number of it: the last one before (where there is none, {MEAN}) stands in"
    )
    assert not any("without a number" in note for note in predictor.predict(path).notes)
    values[:12] = values[100:107] = NAN  # a window has 5 rows: 8 end in rows 4 to 11, 3 in rows 104 to 106
    new = write(tmp_path / "new.csv", values)
    (note,) = [note for note in predictor.predict(new).notes if "without a number" in note]
    assert note.startswith(f"11 forecast(s) {said}")
    streamed = [note for part in predictor.follow(new.read_text().splitlines()) for note in part.notes if said in note]
    assert len(streamed) == 11


@pytest.mark.parametrize(("known", "part"), [(range(75, 100), "train"), (range(70), "validate"), (range(0), "train")])
def test_a_target_is_known_in_the_rows_that_train_and_in_those_that_validate(tmp_path, known, part):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "".join(f"{row % 7 if row in known else ''},{row % 5}\n" for row in range(100)))
    with pytest.raises(DataError, match=f"t.csv, column 'a': none of the rows that {part} holds a number"):
        task_of(path, missing="forward")
