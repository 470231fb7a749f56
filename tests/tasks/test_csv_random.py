"""Tables drawn at random: each is refused in one clear line, or forecast with one row for every date."""

from datetime import datetime, timedelta

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import rnnkit
from rnnkit.errors import DataError, UsageError

Csv = rnnkit.tasks["csv"]
BEGIN = datetime(2023, 11, 1)

FORMS = ["%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%Y-%m-%dT%H:%M:%SZ", "%d-%b-%Y %H:%M:%S"]
NAMES = ["load", "Größe", "wind, m/s", "日付", "a b", "x", "load", ""]
GAPS = ["", "NA", "n/a", "-", "null"]
KINDS = ["number"] * 5 + ["whole", "answer", "category", "text", "constant", "empty", "odd"]
SERIES = ["north", "south", "ost", "7"]


class Still(nn.Module):
    """Says 0 of everything."""

    def __init__(self, task):
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(task.output_size))

    def forward(self, xs, state=None, *, lengths=None):
        return xs.new_zeros(*xs.shape[:2], 1) * self.nothing, None


@st.composite
def columns(draw, rows):
    """Draw the cells of a column, and what they are."""
    kind = draw(st.sampled_from(KINDS))
    seed = np.random.default_rng(draw(st.integers(0, 2**16)))
    if kind in ("number", "whole", "odd"):
        values = (seed.normal(size=rows) * 10.0 ** draw(st.integers(-2, 5))).round(2 if kind == "number" else 0)
        cells = [f"{value:.2f}" if kind == "number" else f"{value:.0f}" for value in values.tolist()]
        if kind == "odd" and rows:
            cells[draw(st.integers(0, rows - 1))] = draw(st.sampled_from(["$5", "inf", "12 %", "x", "1e999"]))
    else:
        words = {"answer": ["yes", "no"], "category": ["sun", "rain", "snow"], "constant": ["7.5"], "empty": [""]}
        cells = [f"note {at}" if kind == "text" else str(seed.choice(words[kind])) for at in range(rows)]
    share = draw(st.sampled_from([0, 0, 0, 0.05, 0.5]))
    gap = draw(st.sampled_from(GAPS))
    return [gap if seed.random() < share else cell for cell in cells]


@st.composite
def tables(draw):
    """Draw a table, and options for it: tidy ones, and others."""
    rows = draw(st.sampled_from([0, 5, 60, 90, 120, 150, 200]))
    count = draw(st.integers(1, 4))
    head, body = [], []
    if draw(st.sampled_from([True, True, False])):
        form, step = draw(st.sampled_from(FORMS)), draw(st.sampled_from([1, 1, 24, 168]))
        hours = np.arange(rows) * step
        trouble = draw(st.sampled_from([""] * 6 + ["gap", "twice", "turned", "torn"]))
        if trouble == "gap" and rows > 9:
            hours[rows // 2 :] += 5 * step
        if trouble == "twice" and rows > 9:
            hours[3] = hours[2]
        times = [(BEGIN + timedelta(hours=int(hour))).strftime(form) for hour in hours]
        times = times[::-1] if trouble == "turned" else times
        if trouble == "torn" and rows:
            times[-1] = "soon"
        head.append("time")
        body.append(times)
    keyed = draw(st.booleans()) and draw(st.booleans())
    if keyed:
        head.append("shop")
        body.append([SERIES[at % draw(st.sampled_from([2, 3]))] for at in range(rows)])
    for _ in range(count):
        head.append(draw(st.sampled_from(NAMES)))
        body.append(draw(columns(rows)))
    mark, decimal = draw(st.sampled_from([(",", "."), (";", "."), ("\t", "."), ("|", "."), (";", ",")]))
    swap = decimal == ","
    lines = [
        [cell.replace(".", ",") if swap and cell[-1:].isdigit() else cell for cell in row]
        for row in zip(*body, strict=True)
    ]
    named = draw(st.sampled_from([True, True, True, False]))
    content = "\n".join(
        mark.join(f'"{cell}"' if mark in cell else cell for cell in row) for row in ([head] if named else []) + lines
    )
    options = {
        "window": draw(st.sampled_from([1, 3, 8])),
        "horizon": draw(st.sampled_from([1, 2, 5])),
        "missing": draw(st.sampled_from(["error", "forward", "forward", "interpolate", "interpolate", "mask"])),
        "steps": draw(st.sampled_from(["all", "all", "last"])),
        "key": "shop" if keyed and named else None,
        "every": draw(st.sampled_from([None, None, "1h", "day"]) if "time" in head else st.none()),
        "calendar": draw(st.sampled_from(["auto", "none"])),
        "split": draw(st.sampled_from([None, None, "60,20,20"])),
        "zone": draw(st.sampled_from([None, None, "Europe/Berlin"]) if "time" in head else st.none()),
        "quantiles": draw(st.sampled_from([None, None, None, "0.1,0.5,0.9"])),
    }
    return content, {name: value for name, value in options.items() if value is not None}


def check_told(task):
    """Every column of the table is in one of the roles, and in the line that says so."""
    roles, line = task.data_state()["roles"], task.data_summary()
    told = {*roles["inputs"], *roles["targets"], *roles["time"], *roles["left_out"], roles["key"]} - {""}
    assert told == {*task._learnt.source.read().table.columns}
    assert "\n" not in line
    assert [name for name in told if name not in line] == []


def asked(task, own, lengths):
    """Count the rows that a forecast is to have, by series."""
    learnt = task._learnt
    for (name, rows), (_, second), begin in zip(
        learnt.kept, learnt.cuts, np.cumsum([0, *(rows for _, rows in learnt.kept)]).tolist(), strict=False
    ):
        rows = rows if own else lengths[name]
        first = learnt.window if learnt.steps == "all" else learnt.window + learnt.horizon - 1
        first = max(first, second - begin) if own else first
        yield name, max(0, rows + learnt.horizon - first) if rows >= learnt.window else 0


def check_forecast(task, predictor, path):
    """One row for each date that is asked, in its own name, and a number in each."""
    lengths = {one.name: len(one.rows) for one in task._learnt.source.read().series}
    for data in (None, path):
        forecast = predictor.predict(data)
        counts = dict(asked(task, data is None, lengths))
        assert len(forecast.values) == sum(counts.values())
        assert np.isfinite(forecast.values).all()
        key = task._learnt.source.key
        if key is not None:
            assert {name: forecast.index[key].count(name) for name in counts} == counts
        names = [name for name in forecast.index if name != "step"]
        places = list(zip(*(forecast.index[name] for name in names), strict=True))
        if "row" in names:
            assert len({*places}) == len(places)
        assert all(any(cells) for cells in places)


def taken(path, content, options):
    """Tell whether a table is taken, and then forecast; else it must be refused in a line."""
    path.write_text(content, encoding="utf-8")
    try:
        task = Csv(file=str(path), **options)
    except (DataError, UsageError) as error:
        sentence = str(error)
        assert "\n" not in sentence
        assert sentence.startswith((str(path), "task 'csv': "))
        assert len(sentence) < len(str(path)) + 320
        return False
    check_told(task)
    again = Csv.from_data_state(task.data_state(), file=str(path), **options)
    assert again.fingerprint() == task.fingerprint()
    model = Still(task).eval()
    check_forecast(again, again.predictor(model, task.calibration(model)), path)
    return True


@pytest.mark.timeout(600)
@pytest.mark.parametrize("draws", [50, pytest.param(200, marks=pytest.mark.slow)])
def test_a_table_is_refused_in_a_line_or_forecast_for_every_date(tmp_path, draws):
    told = []

    @settings(max_examples=draws, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck])
    @given(drawn=tables())
    def check(drawn):
        told.append(taken(tmp_path / "t.csv", *drawn))

    check()
    assert len(told) >= draws
    assert sum(told) > draws / 3  # else this says little
