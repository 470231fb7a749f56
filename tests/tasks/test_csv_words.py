"""Words in tables: yes and no, categories, and cells that hold none."""

from datetime import timedelta

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.errors import DataError

from .shops import BEGIN, Csv, predictor_of


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
    odd.write_text(new.read_text().replace("off", "2"))
    for way in (
        lambda: predictor_of(task).predict(odd),
        lambda: list(predictor_of(task).follow(odd.read_text().splitlines())),
    ):
        with pytest.raises(DataError, match="line 2, column 'fan': '2' is neither yes nor no, nor 1 or 0; correct it"):
            way()


@pytest.mark.parametrize("share", [3, 20])
def test_yes_and_no_stay_so_with_ones_and_zeros_between(tmp_path, share):
    """However many there are of either."""
    path = tmp_path / "t.csv"
    fan = ["1", "0"]
    rows = [f"{at % 5 + at / 100},{['no', 'yes'][at % 2] if at % share == 0 else fan[at % 2]}" for at in range(200)]
    path.write_text("\n".join(["a,fan", *rows]))
    assert "inputs: a, fan (yes/no);" in Csv(file=str(path), window=3).data_summary()


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
