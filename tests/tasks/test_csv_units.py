"""The units of a table in torch's operations are those by which the run reads and forecasts it."""

from datetime import datetime, timedelta

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.export.interface import Interface
from rnnkit_tasks.forecast.calendar import PARTS, calendar, faces
from rnnkit_tasks.forecast.dates import date_part
from rnnkit_tasks.table.order import Time

from ..export.reading import READERS

Csv = rnnkit.tasks["csv"]
ROWS, WINDOW, HORIZON = 600, 6, 2
BEGIN, EPOCH = datetime(2023, 12, 20), datetime(1970, 1, 1)
SHOPS = ("north", "south")
PRICE = {"north": 1_000_000.0, "south": 20.0}
"""One has digits that a float32 would lose; the scales of both are far from each other."""

WEATHER = ("rain", "fog", "sun")


def rows_of(shop, gaps):
    """Yield rows of a shop: time, shop, price, year, open, weather."""
    draw = np.random.default_rng(len(shop) + SHOPS.index(shop))
    for hour in range(ROWS):
        price = "" if gaps and hour % 37 == 5 else f"{PRICE[shop] + draw.normal() / 100:.5f}"
        yield (
            BEGIN + timedelta(hours=hour),
            shop,
            price,
            1900 + hour,
            "yes" if draw.random() < 0.6 else "no",
            WEATHER[int(draw.integers(3))],
        )


@pytest.fixture
def table(tmp_path):
    """Write a table: table(SHOPS) -> its path, and its rows by shop."""

    def write(shops=SHOPS[:1], gaps=False):
        rows = {shop: list(rows_of(shop, gaps)) for shop in shops}
        path = tmp_path / "table.csv"
        lines = [",".join(map(str, row)) for both in zip(*rows.values(), strict=True) for row in both]
        path.write_text("\n".join(["time,shop,price,year,open,weather", *lines]) + "\n")
        return path, rows

    return write


def seconds_of(moment):
    return (moment - EPOCH).total_seconds()


def raw_of(columns, rows, number):
    """Return rows as somebody would who knows the table and the names of the columns alone (N, C)."""
    facts = {
        "price": [float(row[2] or "nan") for row in rows],
        "year": [row[3] for row in rows],
        "open": [row[4] == "yes" for row in rows],
        **{f"weather = {word}": [row[5] == word for row in rows] for word in WEATHER},
        "time (seconds since 1970)": [seconds_of(row[0]) for row in rows],
        "shop (number of the series)": [number] * len(rows),
    }
    known = {name: np.array(numbers, dtype=float) for name, numbers in facts.items()}
    for name, numbers in list(known.items()):
        for step in (1, HORIZON):
            known[f"{name}, {step} row(s) ahead"] = np.append(numbers[step:], [np.nan] * step)
    return torch.from_numpy(np.stack([known[name] for name in columns], axis=1))


KINDS = {
    "numbers": {"columns": "price,year", "calendar": "none"},
    "dates": {"columns": "price", "calendar": "hour,weekday,year"},
    "all steps": {"target": "price,year"},
    "last step": {"target": "price,year", "steps": "last"},
    "changes": {"target": "year,price", "level": "last"},
    "no changes": {"target": "price,year", "level": "mean"},
    "changes of quantiles": {"quantiles": "0.1,0.5,0.9", "level": "last"},
    "quantiles": {"quantiles": "0.1,0.5,0.9"},
    "known ahead": {"known": "open,weather"},
    "a mask": {"missing": "mask", "gaps": True},
    "series": {"key": "shop", "shops": SHOPS},
    "everything": {
        "key": "shop",
        "shops": SHOPS,
        "known": "open,weather",
        "missing": "mask",
        "gaps": True,
        "quantiles": "0.1,0.5,0.9",
        "target": "price,year",
        "level": "last",
    },
}


def built(table, options):
    """Return the task, and the rows of each series."""
    path, rows = table(options.get("shops", SHOPS[:1]), options.get("gaps", False))
    return Csv(**given(path, options)), path, rows


def given(path, options):
    """Return the options of the task."""
    sizes = {"file": str(path), "target": "price", "window": WINDOW, "horizon": HORIZON}
    out = {} if options.keys() & {"key", "columns"} else {"leave_out": "shop"}
    return {**sizes, **out, **{key: value for key, value in options.items() if key not in ("gaps", "shops")}}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_what_goes_in_is_made_as_the_run_makes_it(table, options):
    task, _, rows = built(table, options)
    units = task.units()
    made = [units.inputs(raw_of(units.columns, part, number)) for number, part in enumerate(rows.values())]
    late = HORIZON if "known" in options else 0  # of the last rows nobody knows what is ahead
    shown = [slice(at * ROWS, (at + 1) * ROWS - late) for at in range(len(rows))]
    for found, part in zip(made, shown, strict=True):
        wanted = task.series[part]
        assert wanted.isfinite().all()
        torch.testing.assert_close(found[: len(wanted)].float(), wanted, rtol=1e-6, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["series", "known ahead", "quantiles"])
def test_the_task_keeps_its_promises(table, name):
    options = KINDS[name]
    path, _ = table(options.get("shops", SHOPS[:1]))
    assert rnnkit.testing.check_task(Csv, **given(path, options)).ok


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_what_comes_out_is_what_the_run_predicts(table, options):
    """Of a model that nobody has trained."""
    task, path, rows = built(table, options)
    units = task.units()
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", 5, unroller="loop").eval()
    forecast = task.predictor(model, {}).predict(str(path), origins="every")
    served = Interface(model, units=units)
    outputs = []
    for number, part in enumerate(rows.values()):
        raw = raw_of(units.columns, part, number)
        ends = range(WINDOW - 1, ROWS - (HORIZON if "known" in options else 0))
        with torch.no_grad():
            said, _ = served(torch.stack([raw[end + 1 - WINDOW : end + 1] for end in ends], 1))
        outputs.append(said[-1].numpy())
    names = list(units.targets)
    last = options.get("steps") == "last"
    steps = [""] if last else [f", {step} row(s) ahead" for step in (1, HORIZON)]
    middle = ", quantile 0.5" if "quantiles" in options else ""
    chosen = [names.index(f"{target}{step}{middle}") for step in steps for target in task.targets]
    found = np.concatenate(outputs)[:, chosen].reshape(-1, len(task.targets))
    assert found.shape == forecast.values.shape
    scales = [*task._learnt.targets.of.values()] or [task._learnt.targets.whole]
    for scale, ours, theirs in zip(
        scales, np.split(found, len(rows)), np.split(forecast.values, len(rows)), strict=True
    ):
        np.testing.assert_allclose(ours / scale.scale, theirs / scale.scale, rtol=1e-13, atol=1e-5)
        assert (np.ptp(ours, axis=0) > 0.01 * scale.scale).all()


CROSSED = {name: options for name, options in KINDS.items() if "quantiles" in options}


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        *((kind, None) for kind in CROSSED),
        ("quantiles", "onnx"),
        pytest.param("quantiles", "pt2", marks=pytest.mark.slow),
        *(pytest.param("everything", read, marks=pytest.mark.slow) for read in READERS),
    ],
)
def test_quantiles_that_cross_are_put_to_the_median_as_the_run_puts_them(table, tmp_path, kind, read):
    """Those of a model that nobody has trained cross in many rows."""
    options = CROSSED[kind]
    task, path, rows = built(table, options)
    units = task.units()
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", 5, unroller="loop").eval()
    forecast = task.predictor(model, {}).predict(str(path), origins="every", interval=0.8)
    (crossed,) = (int(note.split()[1]) for note in forecast.notes if "beyond the median" in note)
    assert crossed > 20
    served = Interface(model, units=units)
    if read is not None:
        served = READERS[read](rnnkit.export_model(model, tmp_path / f"model.{read}", units=units).path)
    outputs = []
    for number, part in enumerate(rows.values()):
        raw = raw_of(units.columns, part, number)
        ends = range(WINDOW - 1, ROWS - (HORIZON if "known" in options else 0))
        with torch.no_grad():
            said, _ = served(torch.stack([raw[end + 1 - WINDOW : end + 1] for end in ends], 1))
        outputs.append(said[-1].reshape(-1, len(task.targets), 3).numpy())
    found = np.concatenate(outputs)
    scales = [one.scale for one in task._learnt.targets.of.values()] or [task._learnt.targets.whole.scale]
    scale = np.repeat(scales, len(outputs[0]), axis=0)
    for at, wanted in enumerate((forecast.lower, forecast.values, forecast.upper)):
        np.testing.assert_allclose(found[..., at] / scale, wanted / scale, rtol=1e-13, atol=1e-5)
    assert (found[..., 0] <= found[..., 1]).all()
    assert (found[..., 1] <= found[..., 2]).all()


@pytest.mark.slow
@pytest.mark.parametrize("format", READERS)
def test_everything_in_a_file(table, tmp_path, format):
    task, _, rows = built(table, KINDS["everything"])
    units = task.units()
    model = rnnkit.Model(task, "gru", 5, unroller="loop").eval()
    exported = rnnkit.export_model(model, tmp_path / f"model.{format}", units=units)
    raw = torch.stack([raw_of(units.columns, part, number)[:20] for number, part in enumerate(rows.values())], 1)
    with torch.no_grad():
        wanted, _ = Interface(model, units=units)(raw)
    found, _ = READERS[format](exported.path)(raw)
    scale = torch.from_numpy(np.stack([one.scale for one in task._learnt.targets.of.values()])).repeat_interleave(3, 1)
    scale = scale.repeat(1, HORIZON)  # three quantiles a target, and both targets a step
    torch.testing.assert_close(found / scale, wanted / scale, rtol=1e-13, atol=1e-5)


def test_a_series_that_is_not_known_has_the_scale_of_all(table):
    task, _, rows = built(table, KINDS["series"])
    units = task.units()
    for number in (-1, 2, 10**6):
        raw = raw_of(units.columns, rows["north"], number)
        place = units.columns.index("price")
        wanted = (raw[:, place] - float(task._learnt.inputs.whole.mean[0])) / float(task._learnt.inputs.whole.scale[0])
        torch.testing.assert_close(units.inputs(raw)[:, place], wanted)


@pytest.mark.parametrize("part", PARTS)
def test_parts_of_the_date_are_those_of_the_calendar(part):
    moments = [
        datetime(year, month, day, hour)
        for year in range(1895, 2105)
        for month, day in ((1, 1), (2, 28), (3, 1), (12, 31))
        for hour in (0, 23)
    ]
    seconds = np.array([seconds_of(moment) for moment in moments])
    time = Time(("time",), seconds)
    for face in faces(part):
        wanted = torch.from_numpy(calendar(time, len(seconds), part, face))
        torch.testing.assert_close(date_part(torch.from_numpy(seconds), part, face), wanted, rtol=0, atol=1e-9)


def test_digits_are_lost_neither_on_the_way_in_nor_out(table):
    task, _, _ = built(table, KINDS["numbers"])
    units, price = task.units(), task._learnt.inputs.whole
    assert price.mean[0] > 999_000
    assert price.scale[0] < 0.02
    numbers = torch.tensor([[price.mean[0] + 0.003, 1900.0]], dtype=torch.float64)
    assert float(units.inputs(numbers)[0, 0]) == pytest.approx(0.003 / price.scale[0], abs=1e-7)
    assert float(units.inputs(numbers.float())[0, 0]) != pytest.approx(0.003 / price.scale[0], abs=1e-2)  # lost before
    said = units.outputs(torch.full((1, len(units.targets)), 0.3), numbers)
    assert float(said[0, 0]) == pytest.approx(price.mean[0] + 0.3 * price.scale[0], abs=1e-8)


def test_a_file_is_verified_between_ordinary_numbers(table):
    task, _, _ = built(table, KINDS["everything"])
    units = task.units()
    low, high = (dict(zip(units.columns, row.tolist(), strict=True)) for row in units.span)
    whole = task._learnt.inputs.whole
    assert (low["price"], high["price"]) == (whole.mean[0] - whole.scale[0], whole.mean[0] + whole.scale[0])
    assert (low["weather = fog"], high["weather = fog"]) == (0, 1)
    assert EPOCH + timedelta(seconds=low["time (seconds since 1970)"]) == datetime(2020, 1, 1)
    assert (low["shop (number of the series)"], high["shop (number of the series)"]) == (0, 2)


def test_a_zone_is_named(table):
    task, _, _ = built(table, {**KINDS["dates"], "zone": "Europe/Berlin"})
    assert task.units().columns == ("price", "time (seconds since 1970 on the clock of Europe/Berlin)")


def test_units_are_known_when_the_table_is_gone(table):
    task, path, rows = built(table, KINDS["everything"])
    path.unlink()
    again = Csv.from_data_state(task.data_state(), file=str(path), window=WINDOW, horizon=HORIZON)
    units, kept = task.units(), again.units()
    raw = raw_of(units.columns, rows["south"], 1)
    assert (kept.columns, kept.targets) == (units.columns, units.targets)
    torch.testing.assert_close(kept.inputs(raw), units.inputs(raw), rtol=0, atol=0, equal_nan=True)
