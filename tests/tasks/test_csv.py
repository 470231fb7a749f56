"""Forecasting over a table: which rows and columns are shown, and what simple methods reach."""

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError
from rnnkit_tasks.forecast.linear import Ridge

Csv = rnnkit.tasks["csv"]
ROWS = 200


@pytest.fixture
def write(tmp_path):
    """Write a table; returns its path."""

    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def counting(rows=ROWS, head="time,up,down\n", line="day {0},{0},{1}\n"):
    """Return a table whose row is told by its numbers: `up` counts rows, `down` is minus its double."""
    return head + "".join(line.format(row, -2 * row) for row in range(rows))


def rows_of(task, values, name="up"):
    """Bring normalised values of a counting table back to rows."""
    at = task.targets.index(name)
    return (values * task.scale[at] + task.mean[at]).round().long()


def draw(task, size=64, seed=0):
    return task.batch(size, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("window", "horizon"), [(1, 1), (10, 1), (10, 7), (100, 40)])
def test_windows_and_what_follows_them(write, window, horizon):
    task = Csv(file=write(counting()), window=window, horizon=horizon, steps="last")
    seen = [draw(task, 5000), *task.validation()]
    for batch in seen:
        assert batch.xs.shape == (window, len(batch.targets), 2)
        rows = rows_of(task, batch.xs[..., 0])
        assert (rows.diff(dim=0) == 1).all()
        assert torch.equal(rows_of(task, batch.targets[:, 0]), rows[-1] + horizon)
        torch.testing.assert_close(batch.xs[..., 1], -batch.xs[..., 0])
    trained, held_out = (rows_of(task, batch.targets[:, 0]).unique().tolist() for batch in seen)
    assert trained == list(range(window + horizon - 1, ROWS * 70 // 100))
    assert held_out == list(range(ROWS * 70 // 100, ROWS * 85 // 100))


def test_validation_comes_in_pieces_that_make_up_all(write):
    task = Csv(file=write(counting(3000)), window=3)
    pieces = list(task.validation())
    assert [len(batch.targets) for batch in pieces] == [256, 194]
    rows = rows_of(task, torch.cat([batch.targets for batch in pieces])[:, 0])
    assert rows.tolist() == list(range(2100, 2550))


def test_columns_are_brought_to_one_scale_by_the_training_part_alone(write):
    """A held-out part of another size must not be felt."""
    draws = np.random.default_rng(0).normal(5, 3, size=ROWS)
    plain = Csv(file=write("".join(f"{x}\n" for x in draws)), window=4)
    draws[ROWS * 70 // 100 :] *= 1000
    wild = Csv(file=write("".join(f"{x}\n" for x in draws)), window=4)
    part = draws[: ROWS * 70 // 100]
    for task in (plain, wild):
        assert task.mean.item() == pytest.approx(part.mean(), rel=1e-6)
        assert task.scale.item() == pytest.approx(part.std(), rel=1e-6)
    assert torch.equal(draw(plain).xs, draw(wild).xs)
    assert not torch.equal(next(plain.validation()).targets, next(wild.validation()).targets)


def test_a_constant_column_keeps_its_unit(write):
    task_file = write("".join(f"0.1,{row % 7}\n" for row in range(ROWS)))
    task = Csv(file=task_file, window=4)
    assert (draw(task).xs[..., 0] == 0).all()
    assert task.targets == ["2"]
    asked = Csv(file=task_file, window=4, target="1,2")
    assert (asked.scale[0], asked.mean[0]) == (1, torch.tensor(0.1))
    for made in (task, asked):
        assert "inputs: 1 (constant), 2;" in made.data_summary()
        assert all(np.isfinite(list(made.baselines().values())))


def test_columns_without_a_number_are_left_out(write):
    task = Csv(file=write(counting()), window=3)
    assert task.columns == task.targets == ["up", "down"]
    assert (task.input_size, task.output_size) == (2, 2)


@pytest.mark.parametrize("given", ["down", ["down"], ("down",), " down "])
def test_columns_and_target_are_chosen_by_name(write, given):
    path = write(counting())
    for task in (Csv(file=path, columns=given), Csv(file=path, columns="up,down", target=given)):
        assert task.targets == ["down"]
        torch.testing.assert_close(draw(task).targets.flatten() * task.scale + task.mean, draw_down(task))
    task = Csv(file=path, columns="up", target=given)  # what is forecast need not be shown
    assert (task.columns, task.targets) == (["up"], ["down"])
    assert task.baselines()["linear model"] < 1e-9


def draw_down(task):
    rows = torch.randint(
        task.parts.train[0].start, task.parts.train[0].stop, (64,), generator=torch.Generator().manual_seed(0)
    )
    return -2.0 * rows


@pytest.mark.parametrize("columns", ["2,3", [2, 3], ["2", 3]])
def test_columns_without_names_are_called_by_their_places(write, columns):
    path = write(counting(head=""))
    assert Csv(file=path).columns == ["2", "3"]
    assert Csv(file=path, columns=columns, target=3).targets == ["3"]
    assert len(Csv(file=path).values) == ROWS


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("time,up,down\n", ["up", "down"]),
        ("time,2020,down\n", ["2020", "down"]),  # one word above numbers is enough
        ('"the time","up, up",down\n', ["up, up", "down"]),
        ("time,,down\n", ["2", "down"]),
        ("\n  \ntime,up,down\n\n", ["up", "down"]),
        ("time,20,21\n", None),  # a row like others: the names would be numbers
    ],
)
def test_the_line_of_names_is_told_by_its_words(write, head, names):
    task = Csv(file=write(counting(head=head)), window=3)
    assert task.columns == (names or ["2", "3"])
    assert len(task.values) == ROWS + (names is None)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|", " "])
def test_delimiters(write, mark):
    path = write(counting(head="time,up,down\n", line="{0},{0},{1}\n").replace(",", mark))
    plain = Csv(file=write(counting(head="time,up,down\n", line="{0},{0},{1}\n"), "plain.csv"), window=3)
    given = [" "] if mark == " " else [None, mark, *([r"\t"] if mark == "\t" else [])]
    for delimiter in given:
        task = Csv(file=path, delimiter=delimiter, window=3)
        assert task.columns == ["time", "up", "down"]
        assert torch.equal(task.values, plain.values)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize("last", ["", "\n", "\n\n  \n"], ids=repr)
def test_line_ends_and_byte_order_mark_do_not_matter(write, mark, end, last, monkeypatch):
    monkeypatch.setattr("rnnkit_tasks.text.text_file.PIECE", 7)
    content = counting().removesuffix("\n") + last
    task = Csv(file=write(mark + content.replace("\n", end).encode()), window=3)
    assert task.columns == ["up", "down"]
    assert rows_of(task, task.values[:, 0]).tolist() == list(range(ROWS))


@pytest.mark.parametrize("cells", ["1, 2.5, 3e2", "-1,+2,.5", '"1","2","3"', "1,2,-0", "١,2,3"])
def test_numbers_in_every_manner_of_writing(write, cells):
    task = Csv(file=write(f"{cells}\n0,0,1\n" * 50), window=3)
    expected = [float(cell.strip(' "')) for cell in cells.split(",")]
    torch.testing.assert_close(task.values[0] * task.scale + task.mean, torch.tensor(expected))


def test_a_note_of_two_lines_is_one_cell(write):
    task = Csv(file=write('note,x\n"two\nlines",1\nplain,2\n' + "plain,3\n" * 60), window=3)
    assert (task.columns, task.targets) == (["note", "x"], ["x"])
    assert len(task.values) == 62


def test_the_baselines_of_a_straight_line(write):
    """Each step adds one: the last value is off by the horizon, a linear model by nothing."""
    task = Csv(file=write("".join(f"{row}\n" for row in range(1000))), window=5, horizon=3, steps="last")
    baselines = task.baselines()
    assert list(baselines) == ["last value", "mean", "linear model"]
    assert baselines["last value"] == pytest.approx(float((3 / task.scale) ** 2), rel=1e-4)
    rows = torch.arange(700, 850).double()
    assert baselines["mean"] == pytest.approx(float(((rows - 349.5) / task.scale).square().mean()), rel=1e-4)
    assert baselines["linear model"] < 1e-8


def test_the_linear_model_finds_the_noise_of_an_autoregression(write):
    """x(t) = 1.6 x(t-1) - 0.8 x(t-2) + noise: what is left is the noise, and no linear model can do with less."""
    noise = np.random.default_rng(0).normal(size=20_000)
    series = np.zeros(len(noise))
    for t in range(2, len(noise)):
        series[t] = 1.6 * series[t - 1] - 0.8 * series[t - 2] + noise[t]
    task = Csv(file=write("".join(f"{x:.17g}\n" for x in series)), window=6)
    held_out = noise[task.parts.held_out[0].start : task.parts.held_out[0].stop]
    error = task.baselines()["linear model"] * float(task.scale) ** 2
    assert error == pytest.approx(held_out.var(), rel=0.01)


def test_the_linear_model_equals_least_squares(write, monkeypatch):
    """Against numpy on the same windows."""
    draws = np.random.default_rng(0).normal(size=(600, 2)).cumsum(0)
    task = Csv(file=write("".join(f"{a},{b}\n" for a, b in draws)), window=4, horizon=2, steps="last")
    xs, ys = task.series.double().numpy(), task.values.double().numpy()

    def windows(rows):
        inputs = np.stack([np.append(xs[row - 5 : row - 1].flatten(), 1) for row in rows])
        return inputs, ys[rows.start : rows.stop]

    inputs, targets = windows(task.parts.train[0])
    weights = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    inputs, targets = windows(task.parts.held_out[0])
    expected = np.square(inputs @ weights - targets).mean()
    assert task.baselines()["linear model"] <= expected * (1 + 1e-6)
    monkeypatch.setattr("rnnkit_tasks.forecast.linear.PENALTIES", (1e-12,))
    del task._errors
    assert task.baselines()["linear model"] == pytest.approx(expected, rel=1e-6)


def test_the_bias_of_the_linear_model_is_free(write, monkeypatch):
    """Under a penalty that leaves nothing but the bias, it says the mean of what it was fitted to."""
    monkeypatch.setattr("rnnkit_tasks.forecast.linear.PENALTIES", (1e12,))
    task = Csv(file=write(counting()), window=64)
    fitted, held_out = (
        task.values[rows.start : rows.stop].double() for (rows,) in (task.parts.train, task.parts.held_out)
    )
    expected = float((held_out - fitted.mean(0)).square().mean())
    assert task.baselines()["linear model"] == pytest.approx(expected, rel=1e-6)


def test_of_a_wide_series_the_linear_model_reads_the_last_steps(write, monkeypatch):
    task = Csv(file=write(counting()), window=40)
    monkeypatch.setattr("rnnkit_tasks.forecast.linear.INPUTS", 6)
    assert Ridge(task.series, task.values, 40, 1).offsets.tolist() == [-3, -2, -1]
    monkeypatch.setattr("rnnkit_tasks.forecast.linear.INPUTS", 1)
    assert Ridge(task.series, task.values, 40, 1).offsets.tolist() == [-1]


def test_loss_and_metric_are_the_mean_squared_error():
    outputs, targets = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [4.0]])
    task = Csv()
    assert float(task.loss(outputs, targets)) == float(task.metric(outputs, targets)) == 2.5
    assert task.loss(outputs.double(), targets).dtype == torch.float64


def test_the_default_series_is_the_same_at_every_call():
    first, second = Csv(), Csv()
    assert first.columns == ["temperature", "load"]
    assert len(first.values) == 4000
    assert torch.equal(first.values, second.values)
    assert first.baselines() == second.baselines()
    assert first.baselines() == pytest.approx({"last value": 0.1304, "mean": 1.1117, "linear model": 0.0840}, abs=1e-4)


def test_numbers_are_in_the_default_dtype(write):
    torch.set_default_dtype(torch.float64)
    try:
        assert draw(Csv(file=write(counting()))).xs.dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"columns": []}, r"columns is \[\]; name one column or more, each once"),
        ({"columns": "load,,temperature"}, "each once"),
        ({"columns": "load,load"}, "each once"),
        ({"target": 1.5}, "target is 1.5; it must be names of columns"),
        ({"columns": [True]}, "it must be names of columns"),
        ({"columns": {"load": 1}}, "it must be names of columns"),
        ({"delimiter": ""}, "delimiter is ''; it must be one character"),
        ({"delimiter": ", "}, "it must be one character"),
        ({"delimiter": "\n"}, "it must be one character"),
        ({"delimiter": 1}, "it must be one character"),
        ({"horizon": 0}, "horizon is 0; it must be a whole number >= 1"),
        ({"window": 0}, "window is 0; it must be a whole number >= 1"),
        ({"columns": "laod"}, r"the default series has no column 'laod' \(did you mean 'load'\?\)"),
        ({"target": "laod"}, r"no column 'laod' \(did you mean 'load'\?\); it has temperature, load"),
    ],
    ids=str,
)
def test_options_that_make_no_sense(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        Csv(**options)


def test_the_parts_of_a_table_do_not_overlap():
    task = rnnkit.tasks["csv"](window=8)
    parts = [set(part) for (part,) in task.parts]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(task.series) - 8
    assert sum(len(batch.targets) for batch in task.test()) == len(task.parts.test[0])
