"""Several series in one table, told apart by a key: each has its own windows, scale and parts, in a stream too."""

import json
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.errors import DataError

from .shops import BEGIN, Csv, predictor_of, shops, task_of


@pytest.fixture
def sold(tmp_path):
    lines, values = shops({"north": 200, "south": 150, "tiny": 4}, (1000, 3, 8))
    path = tmp_path / "shops.csv"
    path.write_text("\n".join(["day,shop,sold,size", *lines]))
    return path, values


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


def test_a_stream_names_columns_as_the_table_does(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,a\n" + "".join(f"{at % 7},{at % 5},{-at % 11}\n" for at in range(99)))
    task = Csv(file=str(path), window=3, columns="a,a.2", target="a")
    predictor = predictor_of(task)
    whole = predictor.predict(path)
    parts = list(predictor.follow(path.read_text().splitlines()))
    np.testing.assert_allclose([part.values[0, 0] for part in parts], whole.values[:, 0])


def test_a_last_row_that_lacks_its_target_alone_is_read(tmp_path):
    rows = [f"{at % 5},{at % 3},{'yes' if at % 7 else 'no'}" for at in range(100)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["a,warm,feast", *rows, ",2,yes", ",,no", ",,no"]))
    task = Csv(file=str(path), known="feast", target="a", window=3, missing="forward")
    assert task._learnt.kept == (("", 101),)


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
