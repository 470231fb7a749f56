"""Streams of rows that are brought to even steps, or of which something is known ahead, are what a whole table is."""

from datetime import datetime, timedelta

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.errors import DataError

from .known_series import predictor_of, series, task_of
from .random_tables import Draw

FAST = 4
"""Random tables that `make test` draws."""

SEEDS = [pytest.param(seed, marks=[] if seed < FAST else pytest.mark.slow) for seed in range(60)]
BEGIN = datetime(2024, 3, 1)


def rows_of(forecast):
    """Return each forecast as its names, the series first, and numbers; without row numbers, which tables may need."""
    names = [name for name in forecast.index if name != "row"]
    called = zip(*(forecast.index[name] for name in names), strict=True)
    numbers = np.concatenate([forecast.values, forecast.lower, forecast.upper], axis=1)
    return [(words, values) for words, values in zip(called, numbers, strict=True)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stream_is_what_the_whole_table_is(tmp_path, seed):
    draw = Draw(seed)
    predictor = draw.predictor(tmp_path / "t.csv")
    lines = draw.lines(40, ahead=9 * draw.known * (seed % 2))
    new = tmp_path / "new.csv"
    new.write_text("\n".join(lines) + "\n")
    key = draw.options["key"]
    whole = rows_of(predictor.predict(new, origins="every"))
    streamed = [row for forecast in predictor.follow(lines) for row in rows_of(forecast)]
    assert len(whole) > 5
    if key:  # whose rows a stream has as they come
        whole, streamed = (sorted(rows, key=lambda row: row[0][0]) for rows in (whole, streamed))
    assert [words for words, _ in streamed] == [words for words, _ in whole], draw.options
    for (_, ours), (_, theirs) in zip(streamed, whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4, err_msg=str(draw.options))


@pytest.mark.parametrize(
    ("learnt", "later", "kind"),
    [
        (("yes", "no"), ("1", "0"), "yes/no"),
        (("yes", "no", "1", "0"), ("yes", "0"), "yes/no"),
        ("ABC12", "12", "category"),
    ],
    ids=["yes/no", "both", "category"],
)
def test_words_that_are_numbers_in_a_new_table_stay_words(tmp_path, learnt, later, kind):
    """The last one of a step stands; `every` averages numbers."""

    def table(words, rows, seed):
        draw = np.random.default_rng(seed)
        drawn = [f"{at(row / 4)},{draw.normal():.3f},{draw.choice(list(words))}" for row in range(rows)]
        return ["time,a,open", *drawn]

    path, new = tmp_path / "t.csv", tmp_path / "new.csv"
    path.write_text("\n".join(table(learnt, 600, 0)))
    lines = table(later, 60, 1)
    new.write_text("\n".join(lines))
    task = task_of(path, every="1h")
    assert f"open ({kind})" in task.data_summary()
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", hidden_size=5, unroller="loop").eval()
    predictor = task.predictor(model, task.calibration(model))
    whole = [predictor.predict(table, origins="every").values for table in (new, _with_lasts(new))]
    streamed = [forecast.values for forecast in predictor.follow(lines)]
    np.testing.assert_allclose(np.concatenate(streamed), whole[0], rtol=1e-6)
    np.testing.assert_array_equal(whole[0], whole[1])


def _with_lasts(path):
    """Write a table whose last row of every four says what all four say of `open`."""
    head, *rows = (line.rpartition(",") for line in path.read_text().splitlines())
    lasts = [rows[at | 3][2] for at in range(len(rows))]
    made = path.with_name("lasts.csv")
    made.write_text(
        "\n".join([",".join(head[::2]), *(f"{row[0]},{last}" for row, last in zip(rows, lasts, strict=True))])
    )
    return made


def at(hours):
    return f"{BEGIN + timedelta(hours=hours):%Y-%m-%d %H:%M}"


@pytest.fixture
def known(tmp_path):
    """Return what forecasts from 5 hours the next 3, of which `b` is known ahead."""

    def make(**options):
        path = tmp_path / "t.csv"
        path.write_text("time,a,b\n" + "".join(f"{at(k)},{v:.3f},{k % 7}\n" for k, v in enumerate(series(200))))
        return predictor_of(task_of(path, known="b", **options))

    return make


def line(hours, value=""):
    return f"{at(hours)},{value},{hours % 7}"


def forecast_times(predictor, lines):
    """Return after how many lines each forecast came, and of which time it is."""
    taken = []

    def watched():
        for text in ["time,a,b", *lines]:
            taken.append(text)
            yield text

    return [(len(taken) - 1, forecast.index["time"][0]) for forecast in predictor.follow(watched())]


def test_it_is_forecast_from_a_row_once_what_is_to_be_known_of_those_after_it_is(known):
    lines = [line(k, 50 + k) for k in range(5)] + [line(k) for k in range(5, 10)]
    assert forecast_times(known(), lines) == [(8, at(7))]


@pytest.mark.parametrize("options", [{}, {"every": "1h", "missing": "forward"}], ids=["as they stand", "even steps"])
def test_a_row_takes_the_place_of_the_one_that_was_known_ahead_of_it(known, options):
    """Holidays first, or a day before, and the rest as it comes: the same as a table in which each time stands once."""
    predictor, values = known(**options), [round(float(v), 3) for v in series(30, seed=3)]
    come, given = [line(k, v) for k, v in enumerate(values)], [line(k) for k in range(34)]
    plain = ["time,a,b", *come, *given[30:]]
    whole = np.concatenate([forecast.values for forecast in predictor.follow(plain)])
    assert len(whole) == 30 - 5 + 1
    first = [*given, *come]
    before = [row for k in range(0, 30, 6) for row in (*given[k + 4 : k + 10], *come[k : k + 6])]
    for lines in (first, before):
        found = list(predictor.follow(["time,a,b", *lines]))
        np.testing.assert_allclose(np.concatenate([forecast.values for forecast in found]), whole, rtol=1e-6)
        assert [forecast.index["time"][0] for forecast in found] == [at(k + 7) for k in range(26)]


def test_it_is_forecast_from_a_step_once_it_is_over(known):
    lines = [f"{at(k / 2)},{50 + k},1" for k in range(24)]
    predictor = known(every="1h", missing="forward")
    assert forecast_times(predictor, lines)[0] == (
        2 * 7 + 3,
        at(7),
    )  # from hour 4; of 7 it is known
    assert forecast_times(predictor, lines)[-1] == (24, at(11))  # at the end, the last hour is over


def test_what_lacks_at_the_end_is_said(known, caplog):
    predictor, lines = known(), ["time,a,b", *(line(k, 50) for k in range(9)), line(9)]
    assert len(list(predictor.follow(lines))) == 9 - 5 + 1 - 2
    assert "stdin: b is not known of all 3 row(s) after the last one, so the last 2 row(s) got no fo" in caplog.text
    with pytest.raises(DataError, match="stdin: nothing can be forecast, for b is not known of the 3 row"):
        list(predictor.follow(lines[:7]))


def test_a_row_that_came_never_is_a_gap(known):
    lines = ["time,a,b", *(line(k, "" if k in (6, 7) else 50 + k) for k in range(14))]
    with pytest.raises(DataError, match="stdin, line 8, column 'a': the cell is empty, as in rows known ahead, and"):
        list(known().follow(lines))
    assert len(list(known(missing="forward").follow(lines))) == 14 - 5 + 1 - 3


def test_a_row_of_a_time_that_has_passed_is_left_out(known, caplog):
    lines = ["time,a,b", *(line(k, 50 + k) for k in range(9)), line(2), line(3)]
    assert len(list(known().follow(lines))) == 9 - 5 + 1 - 3
    assert caplog.text.count("is of a time that has passed") == 1


def test_what_is_known_ahead_must_be_known_of_all_rows_up_to_the_last(known):
    lines = ["time,a,b", *(line(k, 50 + k) for k in range(6)), f"{at(6)},,", line(7), line(8)]
    with pytest.raises(DataError, match="stdin, line 8, column 'b': the cell is empty; correct it"):
        list(known().follow(lines))


@pytest.fixture
def even(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("time,a\n" + "".join(f"{at(k)},{v:.3f}\n" for k, v in enumerate(series(200))))
    return predictor_of(task_of(path, every="1h", missing="forward"))


def test_a_row_of_a_step_that_is_over_is_left_out_and_said(even, caplog):
    lines = ["time,a", *(f"{at(k)},{50 + k}" for k in range(8)), f"{at(3)},900", ",7", f"{at(8)},58"]
    plain = [text for text in lines if "900" not in text and text != ",7"]
    late, usual = (np.concatenate([f.values for f in even.follow(text)]) for text in (lines, plain))
    np.testing.assert_array_equal(late, usual)
    assert "stdin, line 10 lies in a step that is over and is left out" in caplog.text
    assert "stdin, line 11 has no date and is left out" in caplog.text


UNFIT = {
    "newest first": (
        [f"{at(40 - k)},5" for k in range(20)],
        "stdin, line 5: the time column 'time' goes back; give the",
    ),
    "a slip": ([*(f"{at(k)},5" for k in range(8)), "2924-01-01 00:00,5"], "stdin, line 10: more than 1,000,000 steps"),
    "too few steps": ([f"{at(k / 60)},5" for k in range(200)], "stdin ended after 4 row(s); the run forecasts from 5"),
    "no time": (None, "stdin, line 1: no column 'time'"),
}


@pytest.mark.parametrize(("lines", "said"), UNFIT.values(), ids=UNFIT)
def test_a_stream_that_cannot_be_brought_to_even_steps(even, lines, said):
    with pytest.raises(DataError) as refused:
        list(even.follow(["a"] if lines is None else ["time,a", *lines]))
    assert str(refused.value).startswith(said)
