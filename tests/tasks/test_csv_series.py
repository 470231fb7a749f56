"""Several series in one table, told apart by a key; even steps in time; zones; what is known ahead."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import DataError, UsageError


def Csv(**options):  # noqa: N802
    """Build the task with forecasts that are what they are, not changes from the last value."""
    return rnnkit.tasks["csv"](**{"level": "mean", **options})


BEGIN = datetime(2024, 1, 1)


class Repeats(nn.Module):
    """Forecasts the last value of the first column for every step."""

    def __init__(self, task):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(task.output_size, dtype=torch.float64))

    def forward(self, xs, state=None, *, lengths=None):
        return self.factor * xs[..., :1].double(), None


def predictor_of(task):
    model = Repeats(task).eval()
    return task.predictor(model, task.calibration(model))


def shops(sizes, levels, seed=0):
    """Return lines of a table of shops, day by day, and the values of each."""
    draw = np.random.default_rng(seed)
    values = {name: level + draw.normal(size=size) for (name, size), level in zip(sizes.items(), levels, strict=True)}
    lines = [
        (day, name, f"{BEGIN + timedelta(days=day):%Y-%m-%d},{name},{sold!r},{len(name)}")
        for name, series in values.items()
        for day, sold in enumerate(series.tolist())
    ]
    return [line for *_, line in sorted(lines)], values


@pytest.fixture
def sold(tmp_path):
    lines, values = shops({"north": 200, "south": 150, "tiny": 4}, (1000, 3, 8))
    path = tmp_path / "shops.csv"
    path.write_text("\n".join(["day,shop,sold,size", *lines]))
    return path, values


def task_of(path, **options):
    return Csv(**{"file": str(path), "key": "shop", "target": "sold", "window": 6, "horizon": 2, **options})


def test_windows_stay_within_a_series_and_each_has_its_scale(sold):
    path, values = sold
    task = task_of(path, calendar="none")
    assert (
        "3 series by shop, each with its own scale, of which 1 too short to train, such as 'tiny'"
        in task.data_summary()
    )
    expected = {
        name: (series - series[: int(0.7 * len(series))].mean()) / series[: int(0.7 * len(series))].std()
        for name, series in values.items()
    }
    seen = {name: set() for name in values}
    for _ in range(20):
        batch = task.batch(100, torch.Generator().manual_seed(len(seen["north"])))
        for at in range(100):
            whole = np.concatenate([batch.xs[:, at, 0].numpy(), batch.targets[at].numpy()])
            (name, start), *others = [
                (name, start)
                for name, series in expected.items()
                for start in np.flatnonzero(np.abs(series[: len(series) - 7] - whole[0]) < 1e-4).tolist()
                if np.allclose(series[start : start + 8], whole, atol=1e-4)
            ]
            assert not others
            seen[name].add(start)
    assert {name: max(starts, default=None) for name, starts in seen.items()} == {
        "north": 132,
        "south": 97,
        "tiny": None,
    }


def test_columns_that_never_change_in_a_series_tell_them_apart(sold):
    task = task_of(sold[0], calendar="none")
    size = task.columns.index("size")
    rows = {one.name: task.series[one.rows.start, size].item() for one in task._learnt.series}
    assert len({round(value, 4) for value in rows.values()}) == 2  # north and south have five letters, tiny four


def test_forecasts_have_key_step_dates_and_units(sold):
    path, values = sold
    forecast = predictor_of(task_of(path, columns="sold", calendar="none")).predict()
    assert list(forecast.index) == ["shop", "day", "step"]
    for name, series in values.items():
        mine = np.array([shop == name for shop in forecast.index["shop"]])
        first = int(0.85 * len(series)) if name != "tiny" else None
        if first is None:
            assert not mine.any()
            continue
        days = [f"{BEGIN + timedelta(days=at):%Y-%m-%d}" for at in range(first, len(series) + 2)]
        assert [day for day, of in zip(forecast.index["day"], mine, strict=True) if of] == days
        steps = np.array([int(step) for step in forecast.index["step"]])[mine]
        ends = np.arange(first, len(series) + 2) - steps
        np.testing.assert_allclose(forecast.values[mine, 0], series[ends], rtol=1e-5)
        np.testing.assert_allclose(forecast.actual[mine, 0][:-2], series[first:], rtol=1e-12)
    north, south = ([tick.get_text() for tick in panel.get_xticklabels()][-1] for panel in forecast.plot().axes)
    assert (north, south) == (f"{BEGIN + timedelta(days=201):%Y-%m-%d}", f"{BEGIN + timedelta(days=151):%Y-%m-%d}")
    found = {error.method: error.rmse for error in forecast.errors if error.step is None}
    assert found["this run"] == pytest.approx(found["last value"], rel=1e-4)
    assert "<title>" in forecast._repr_html_()


def test_a_series_that_is_new_is_told(sold, tmp_path):
    predictor = predictor_of(task_of(sold[0], columns="sold", calendar="none"))
    lines, _ = shops({"north": 30, "west": 30}, (1000, 500))
    new = tmp_path / "new.csv"
    new.write_text("\n".join(["day,shop,sold,size", *lines]))
    forecast = predictor.predict(new)
    assert "1 series that the run has not seen, such as 'west'; the scale of all is used" in forecast.notes
    assert {*forecast.index["shop"]} == {"north", "west"}


NAMES = ("NA", "n/a", "-", "None", "nan", "south")


def countries(path, names=NAMES):
    rows = [
        f"{BEGIN + timedelta(days=day):%Y-%m-%d},{name},{day * len(name) % 7}" for day in range(99) for name in names
    ]
    path.write_text("\n".join(["day,shop,sold", *rows]))
    return path


@pytest.mark.parametrize("options", [{}, {"every": "day"}], ids=["as they stand", "even steps"])
def test_words_for_missing_are_names_of_series(tmp_path, options):
    task = task_of(countries(tmp_path / "t.csv"), **options)
    assert {name for name, _ in task._learnt.kept} == {*NAMES}
    assert "6 series by shop" in task.data_summary()
    assert {*predictor_of(task).predict().index["shop"]} == {*NAMES}


@pytest.mark.parametrize("order", [None, "newest-first"])
def test_an_empty_key_is_refused_with_its_line(tmp_path, order):
    lines = countries(tmp_path / "t.csv", ("NA", "south")).read_text().splitlines()
    for at in (7, 20):
        lines[at] = lines[at].replace("NA", " ").replace("south", "")
    if order is not None:
        lines[1:] = lines[:0:-1]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    line = {None: 8, "newest-first": 2 * 99 - 20 + 2}[order]
    with pytest.raises(DataError, match=f"line {line}, column 'shop': the cell is empty; fill in of which series"):
        task_of(tmp_path / "t.csv", order=order)


def test_a_run_that_took_them_for_one_series_still_does(tmp_path):
    path = countries(tmp_path / "t.csv", ("NA", "south"))
    options = {"file": str(path), "window": 6, "horizon": 2}
    task = task_of(path, columns="sold", calendar="none")
    state = json.loads(json.dumps(task.data_state()).replace('"NA"', '""'))
    again = rnnkit.tasks["csv"].from_data_state(state, **options)
    assert again.fingerprint() == task.fingerprint()
    path.write_text(path.read_text().replace(",NA,", ",,"))
    again = rnnkit.tasks["csv"].from_data_state(state, **options)
    assert again.fingerprint() == task.fingerprint()
    with pytest.raises(DataError, match="line 2, column 'shop': the cell is empty"):
        predictor_of(task).predict(path)


def test_a_series_with_fewer_rows_than_a_window_is_told(sold, tmp_path):
    predictor = predictor_of(task_of(sold[0], columns="sold", calendar="none"))
    said = "no forecast of 1 series, 'tiny' (4 row(s)): the run forecasts from 6 row(s), so give at least as many"
    assert said in predictor.predict().notes
    lines, _ = shops({"north": 30, "west": 5, "tiny": 4}, (1000, 500, 8))
    new = tmp_path / "new.csv"
    new.write_text("\n".join(["day,shop,sold,size", *lines]))
    forecast = predictor.predict(new)
    assert {*forecast.index["shop"]} == {"north"}
    (said,) = (note for note in forecast.notes if note.startswith("no forecast"))
    assert said.startswith("no forecast of 2 series, 'tiny' (4 row(s)), 'west' (5 row(s)): the run forecasts from 6")
    lines, _ = shops({f"shop {at}": 3 for at in range(20)} | {"north": 30}, range(21))
    new.write_text("\n".join(["day,shop,sold,size", *lines]))
    (said,) = (note for note in predictor.predict(new).notes if note.startswith("no forecast"))
    assert said.startswith("no forecast of 20 series, 'shop 0' (3 row(s)), ")
    assert "(3 row(s)), ...: the run" in said
    new.write_text("\n".join(["day,shop,sold,size", *(line for line in lines if "north" not in line)]))
    with pytest.raises(DataError, match=r"new.csv has 3 row\(s\); the run forecasts from 6, so give at least as many"):
        predictor.predict(new)


def test_rows_that_are_appended_to_any_series_change_nothing(sold, tmp_path, caplog):
    path, _ = sold
    task = task_of(path)
    before, kept = task.fingerprint(), task.data_state()
    path.write_text(path.read_text() + "\n2025-01-01,tiny,9,4\n2025-01-02,new,9,3")
    again = rnnkit.tasks["csv"].from_data_state(kept, file=str(path), window=6, horizon=2)
    assert again.fingerprint() == before
    assert "has 2 row(s) more than when the run was made; they are left out" in caplog.text
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "south" not in line))
    gone = rnnkit.tasks["csv"].from_data_state(kept, file=str(path), window=6, horizon=2)
    with pytest.raises(DataError, match=r"series 'south' of .* has 0 row\(s\), 150 when the run was made"):
        gone.fingerprint()


@pytest.mark.parametrize("options", [{"every": "1day"}, {"known": "size"}])
def test_what_does_not_come_row_by_row(sold, options):
    predictor = predictor_of(task_of(sold[0], **options))
    with pytest.raises(UsageError, match="do not come row by row; give a table with --data"):
        next(predictor.follow([]))


def test_rows_of_several_series_are_followed_each_in_its_own_window(sold, tmp_path, caplog):
    """As the whole table gives them, in the order of their rows, whatever comes between."""
    predictor = predictor_of(task_of(sold[0], columns="sold", calendar="none"))
    lines, _ = shops({"north": 30, "west": 20, "tiny": 3}, (1000, 500, 8))
    new = tmp_path / "new.csv"
    new.write_text("\n".join(["day,shop,sold,size", *lines]))
    whole = predictor.predict(new, origins="every")
    parts = list(predictor.follow(new.read_text().splitlines()))
    assert [part.index["shop"][0] for part in parts][:3] == ["north", "west", "north"]
    for name in ("north", "west"):
        mine = [shop == name for shop in whole.index["shop"]]
        ours = [part for part in parts if part.index["shop"][0] == name]
        for what in ("values", "lower", "upper"):
            found = np.concatenate([getattr(part, what) for part in ours])
            np.testing.assert_allclose(found, getattr(whole, what)[mine], rtol=1e-6)
        assert [(day, name) for part in ours for day in part.index["day"]] == [
            (day, shop) for day, shop in zip(whole.index["day"], whole.index["shop"], strict=True) if shop == name
        ]
        strange = "series 'west' is none that the run has seen; the scale of all is used"
        assert all((strange in part.notes) == (name == "west") for part in ours)
    assert "stdin: no forecast of 1 series, 'tiny' (3 row(s)): the run forecasts from 6 row(s)" in caplog.text


def test_gaps_of_a_series_in_a_stream_are_filled_from_its_own_rows(tmp_path):
    path = tmp_path / "t.csv"
    rows = [
        f"{BEGIN + timedelta(days=at):%Y-%m-%d},{shop},{'' if at % 9 in (4, 5, 6) else level + at % 7}"
        for at in range(120)
        for shop, level in (("north", 1000), ("south", 3))
    ]
    path.write_text("\n".join(["day,shop,sold", *rows]))
    predictor = predictor_of(task_of(path, window=2, missing="forward", calendar="none"))
    whole = predictor.predict(path, origins="every")
    parts = list(predictor.follow(path.read_text().splitlines()))
    for name in ("north", "south"):
        found = np.concatenate([part.values for part in parts if part.index["shop"][0] == name])
        np.testing.assert_allclose(found, whole.values[[shop == name for shop in whole.index["shop"]]], rtol=1e-5)


def test_every_line_of_a_stream_has_the_columns_of_the_first(sold, tmp_path):
    """A series whose days are uneven has no number of a row more than one whose are even."""
    predictor = predictor_of(task_of(sold[0], columns="sold", calendar="none"))
    even = [f"{BEGIN + timedelta(days=at):%Y-%m-%d},north,{at % 7},5" for at in range(8)]
    uneven = [f"{BEGIN + timedelta(days=at * at):%Y-%m-%d},south,{at % 7},5" for at in range(8)]
    parts = list(predictor.follow(["day,shop,sold,size", *even, *uneven]))
    assert {tuple(part.index) for part in parts} == {("shop", "day", "step")}
    assert parts[-1].index["day"] == ["", ""]
    assert any("their rows have none where they are not known" in note for part in parts for note in part.notes)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["day,sold,size"], "stdin, line 1: no column 'shop'"),
        (["day,shop,sold,size", "2024-01-01, ,3,5"], "stdin, line 2, column 'shop': the cell is empty; fill in of"),
        (["day,shop,sold,size", *["2024-01-01,a,3,5", "2024-01-01,b,3,5"] * 5], "stdin ended after 5 row(s) of any"),
    ],
)
def test_a_stream_of_series_that_is_unfit(sold, lines, said):
    with pytest.raises(DataError) as refused:
        list(predictor_of(task_of(sold[0], columns="sold", calendar="none")).follow(lines))
    assert str(refused.value).startswith(said)


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


def ahead(path, later, key=False):
    """Write 100 rows that know all, and rows below them of which `later` says what is known of the feast."""
    rows = [f"{BEGIN + timedelta(days=at):%Y-%m-%d},{at % 5},{int(at % 7 == 0)}" for at in range(100)]
    rows += [f"{BEGIN + timedelta(days=at):%Y-%m-%d},,{known}" for at, known in enumerate(later, start=100)]
    shops = ("north", "south") if key else ("",)
    path.write_text("\n".join(["day,a,feast,shop", *(f"{row},{shop}" for row in rows for shop in shops)]))
    return path


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


def test_yes_no_and_categories_are_inputs(tmp_path):
    path = tmp_path / "t.csv"
    sky = ["sun", "rain", ""]
    rows = [f"{at % 5 + at / 100},{'on' if at % 2 else 'off'},{sky[at % 3]}" for at in range(200)]
    path.write_text("\n".join(["a,fan,sky", *rows]))
    task = Csv(file=str(path), window=3)
    assert "inputs: a, fan (yes/no), sky (category); targets: a;" in task.data_summary()
    assert [str(feature) for feature in task._learnt.features] == ["a", "fan", "sky = rain", "sky = sun"]
    assert task.series[:6, 1].tolist() == [0, 1, 0, 1, 0, 1]
    assert task.series[:3, 2:].tolist() == [[0, 1], [1, 0], [0, 0]]
    new = tmp_path / "new.csv"
    new.write_text("\n".join(["a,fan,sky", *(row.replace("rain", "snow") for row in rows[:30])]))
    notes = predictor_of(task).predict(new).notes
    assert "10 row(s) of 'sky' hold what the run has not seen, such as 'snow'; they are none of its categories" in notes
    odd = tmp_path / "odd.csv"
    odd.write_text(new.read_text().replace("off", "maybe"))
    with pytest.raises(DataError, match="line 2, column 'fan': 'maybe' is neither yes nor no; correct it"):
        predictor_of(task).predict(odd)


def test_a_stream_reads_them_as_the_table_does(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"{BEGIN + timedelta(hours=at)};{at % 5 + at / 100:.2f};{'on' if at % 2 else 'off'}" for at in range(200)]
    path.write_text("\n".join(["time;a;fan", *(row.replace(".", ",") for row in rows)]))
    task = Csv(file=str(path), window=3, horizon=2)
    assert "decimals after a comma" in task.data_summary()
    model = rnnkit.Model(task, "gru", hidden_size=4, unroller="loop").eval()
    predictor = task.predictor(model, task.calibration(model))
    every = predictor.predict(path, origins="every")
    parts = list(predictor.follow(path.read_text().splitlines()))
    streamed = np.concatenate([part.values for part in parts])
    np.testing.assert_allclose(streamed, every.values, rtol=1e-4, atol=1e-5)
    assert [time for part in parts for time in part.index["time"]] == every.index["time"]


def test_parquet_is_a_table_like_another(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    times = [BEGIN + timedelta(hours=at) for at in range(200)]
    columns = {"time": times, "a": [at % 7 + 0.5 for at in range(200)], "on": [at % 3 == 0 for at in range(200)]}
    pyarrow.parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    text = tmp_path / "t.csv"
    text.write_text(
        "\n".join(
            ["time,a,on", *(f"{t},{a},{'yes' if on else 'no'}" for t, a, on in zip(*columns.values(), strict=True))]
        )
    )
    first, second = (Csv(file=str(file), window=5) for file in (tmp_path / "t.parquet", text))
    assert first.fingerprint() == second.fingerprint()
    assert "a Parquet file" in first.data_summary()
    assert predictor_of(first).predict().to_csv() == predictor_of(second).predict().to_csv()
    (tmp_path / "bad.parquet").write_bytes(b"PAR1" + b"x" * 100)
    with pytest.raises(DataError, match="is a Parquet file that cannot be read"):
        Csv(file=str(tmp_path / "bad.parquet"))


def test_parquet_without_pyarrow_says_what_brings_it(tmp_path, monkeypatch):
    monkeypatch.setattr("rnnkit_tasks.table.parquet.find_spec", lambda name: None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1" + b"x" * 100)
    with pytest.raises(DataError, match=r"needs pyarrow; pip install 'rnnkit\[parquet\]'"):
        Csv(file=str(tmp_path / "t.parquet"))


def test_digits_go_by_the_series(tmp_path):
    lines, _ = shops({"big": 100, "small": 100}, (150000, 0.03))
    path = tmp_path / "t.csv"
    small = {at: 0.03 + 0.001 * (at % 9) for at in range(100)}
    head, *rows = ["day,shop,sold,size", *lines]
    for at, row in enumerate(rows):
        day, shop, _, size = row.split(",")
        if shop == "small":
            rows[at] = f"{day},{shop},{small[(datetime.fromisoformat(day) - BEGIN).days]!r},{size}"
    path.write_text("\n".join([head, *rows]))
    forecast = predictor_of(task_of(path, columns="sold", calendar="none")).predict()
    written = [
        (float(cell), said[0])
        for shop, cell, said in zip(
            forecast.index["shop"], forecast.columns()["sold_forecast"], forecast.values.tolist(), strict=True
        )
        if shop == "small"
    ]
    assert written
    assert all(abs(cell - said) < 1e-6 for cell, said in written)


def test_a_series_of_which_no_row_trains_has_the_scale_of_all(tmp_path):
    rows = [f"{BEGIN + timedelta(days=at):%Y-%m-%d},old,{at % 7},3" for at in range(300)]
    rows += [f"{BEGIN + timedelta(days=at):%Y-%m-%d},late,{1000 + at},4" for at in range(250, 300)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["day,shop,sold,size", *rows]))
    scales = task_of(path, columns="sold", split="2024-07-01,2024-09-01")._learnt.targets
    assert scales.of["late"] == scales.whole
    assert scales.whole.mean[0] < 7


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


def test_a_stream_names_columns_as_the_table_does(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,a\n" + "".join(f"{at % 7},{at % 5},{-at % 11}\n" for at in range(99)))
    task = Csv(file=str(path), window=3, columns="a,a.2", target="a")
    predictor = predictor_of(task)
    whole = predictor.predict(path)
    parts = list(predictor.follow(path.read_text().splitlines()))
    np.testing.assert_allclose([part.values[0, 0] for part in parts], whole.values[:, 0])


def test_a_blank_category_stays_blank_in_a_stream(tmp_path):
    path = tmp_path / "t.csv"
    words = ["a", "b", "a", "b", ""]
    path.write_text("w,v\n" + "".join(f"{words[at % 5]},{at % 7}\n" for at in range(150)))
    task = Csv(file=str(path), window=3, missing="forward")
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", hidden_size=4, unroller="loop").eval()
    predictor = task.predictor(model, task.calibration(model))
    parts = list(predictor.follow(path.read_text().splitlines()))
    np.testing.assert_allclose([part.values[0, 0] for part in parts], predictor.predict(path).values[:, 0], rtol=1e-4)


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


def test_a_last_row_that_lacks_its_target_alone_is_read(tmp_path):
    rows = [f"{at % 5},{at % 3},{'yes' if at % 7 else 'no'}" for at in range(100)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["a,warm,feast", *rows, ",2,yes", ",,no", ",,no"]))
    task = Csv(file=str(path), known="feast", target="a", window=3, missing="forward")
    assert task._learnt.kept == (("", 101),)


def test_a_last_step_that_is_not_over_is_told(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("time,a\n" + "".join(f"{BEGIN + timedelta(hours=at)},{at % 7}\n" for at in range(24 * 40 + 18)))
    task = Csv(file=str(path), every="day", window=3)
    assert "the last step has 18 row(s), others 24; leave it out if it is not over" in task.data_summary()


def test_rows_that_came_after_the_run_judge_nothing_of_it(tmp_path):
    """What is known ahead of them is read; what came in them is not held against its forecasts."""
    rows = [f"{at % 5},{'yes' if at % 7 else 'no'}" for at in range(100)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["a,feast", *rows, *(f",{'yes' if at % 7 else 'no'}" for at in range(100, 104))]))
    task = Csv(file=str(path), known="feast", window=3, horizon=4)
    before = predictor_of(task).predict()
    path.write_text("\n".join(["a,feast", *(f"{at % 5},{'yes' if at % 7 else 'no'}" for at in range(104))]))
    after = predictor_of(task).predict()
    assert after.to_csv() == before.to_csv()
    assert np.isnan(after.actual[-4:]).all()


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
