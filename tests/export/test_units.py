"""A file with units: raw numbers of a table go in, and what `rnnkit predict` says comes out."""

import csv
import json

import numpy as np
import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import CheckError, DataError, UsageError
from rnnkit.export import verification
from rnnkit.export.interface import Interface

from ..slow_cases import slow_but
from .reading import READERS, build

WINDOW, HORIZON, ROWS = 6, 2, 90
SMALL = ("--task", "csv", "--cell", "gru", "--hidden", 6, "--steps", 40, "--batch", 8, "--lr", 0.05, "--quiet")
COLUMNS = ("year", "level", "price")


def write(path):
    """Write a table with a year, and a price whose mean has more digits than a float32 keeps of its changes."""
    draw = np.random.default_rng(0)
    level = np.cumsum(draw.normal(size=ROWS))
    price = 1e6 + np.roll(level, 2) + draw.normal(size=ROWS) / 10
    with path.open("w") as file:
        print(",".join(COLUMNS), file=file)
        for row in range(ROWS):
            print(f"{1950 + row},{level[row]:.3f},{price[row]:.3f}", file=file)


def windows(path):
    """Return every window of the table as it is written (WINDOW, N, 3)."""
    rows = np.loadtxt(path, delimiter=",", skiprows=1)
    return np.lib.stride_tricks.sliding_window_view(rows, WINDOW, axis=0).transpose(2, 0, 1).copy()


@pytest.fixture
def run(cli, tmp_path):
    """Train on the table: run("float32") -> the folder of the run, and the table's windows."""

    def train(dtype="float32"):
        table, folder = tmp_path / "table.csv", tmp_path / "run"
        write(table)
        options = {"file": table, "target": "price,level", "window": WINDOW, "horizon": HORIZON}
        given = [word for name, value in options.items() for word in ("--set", f"task.{name}={value}")]
        done = cli("run", *SMALL, "--unroller", "loop", "--dtype", dtype, *given, "--out", folder)
        assert done.exit_code == 0, done.output
        return folder, windows(table)

    return train


def predicted(cli, run, table, out):
    """Return what `rnnkit predict` writes of every window and step: (N x HORIZON, 2), and what a digit is."""
    done = cli("predict", run, "--data", table, "--out", out, "--quiet", "--from", "every")
    assert done.exit_code == 0, done.output
    with out.open() as file:
        rows = list(csv.DictReader(file))
    cells = [[row[f"{target}_forecast"] for target in ("price", "level")] for row in rows]
    return np.array(cells, dtype=float), np.array([10.0 ** -len(cell.partition(".")[2]) for cell in cells[0]])


@pytest.mark.parametrize("dtype", slow_but(["float32"], ["float32", "float64"]))
@pytest.mark.parametrize("format", slow_but(["onnx"], READERS))
def test_raw_rows_give_what_predict_says_when_the_table_is_gone(run, cli, tmp_path, format, dtype):
    folder, raw = run(dtype)
    table = tmp_path / "table.csv"
    says, digit = predicted(cli, folder, table, tmp_path / "forecast.csv")
    table.unlink()
    path = tmp_path / f"served.{format}"
    done = cli("export", folder, "--out", path)
    assert (done.exit_code, done.stderr) == (0, "")
    served = READERS[format](path)
    outputs, state = served(torch.from_numpy(raw))
    assert (outputs.dtype, state["h_l0"].dtype) == (torch.float64, getattr(torch, dtype))
    forecasts = outputs[-1].reshape(-1, 2).numpy()
    assert len(forecasts) == len(says) == HORIZON * raw.shape[1]
    assert np.ptp(forecasts[:, 0]) > 0.5  # it does not say the mean
    assert (np.abs(forecasts - says) <= 1e-5 * np.abs(says) + digit / 2).all()
    assert np.abs(forecasts[:, 0] - says[:, 0]).max() < 1e-3  # of a price of a million
    one, _ = served(torch.from_numpy(raw[1:, :1]))
    assert one.shape == (WINDOW - 1, 1, 2 * HORIZON)
    assert not np.allclose(one[-1, 0, :2], forecasts[0], rtol=0, atol=1e-9)  # the first row mattered


def test_what_the_file_says_of_itself(run, cli, tmp_path):
    folder, _ = run()
    (tmp_path / "table.csv").unlink()
    exported = rnnkit.load(folder).export(tmp_path / "model.pt2")
    assert exported.units is True
    told = rnnkit.read_exported(exported.path)
    forecasts = [f"{target}, {step} row(s) ahead" for step in (1, HORIZON) for target in ("price", "level")]
    assert told["units"] == {"input": list(COLUMNS), "output": forecasts}
    assert (told["task"], told["cell"], told["every_step"]) == ("csv", "gru", False)
    assert (told["task_options"]["window"], told["task_options"]["horizon"]) == (WINDOW, HORIZON)
    assert told["task_options"]["header"] is None
    kept = json.loads((folder / "data.json").read_text())
    assert (told["data"], told["fingerprint"]) == (kept["state"], kept["fingerprint"])
    assert told["settings"]["hidden"] == 6
    assert str(tmp_path) not in json.dumps(told)


def test_raw_is_the_network_alone(run, cli, tmp_path):
    folder, raw = run()
    done = cli("export", folder, "--raw")
    assert done.exit_code == 0
    assert "normalised, as the network has them; without --raw they are in units" in done.stdout
    loaded = rnnkit.load(folder)
    normalised = loaded.task.units().inputs(torch.from_numpy(raw)).float()
    found, _ = READERS["pt2"](folder / "model.pt2")(normalised)
    torch.testing.assert_close(found, loaded.model(normalised)[0])
    assert rnnkit.read_exported(folder / "model.pt2")["units"] is None


@pytest.mark.slow
@pytest.mark.parametrize("format", READERS)
@pytest.mark.parametrize("words", [("--state",), ("--step",)], ids=str)
def test_raw_rows_in_pieces(run, cli, tmp_path, format, words):
    folder, raw = run()
    path = tmp_path / f"pieces.{format}"
    assert cli("export", folder, "--out", path, *words).exit_code == 0
    loaded, served = rnnkit.load(folder), READERS[format](path)
    pieces = torch.from_numpy(raw) if "--step" in words else torch.from_numpy(raw).split(4)
    state = {"h_l0": torch.zeros(raw.shape[1], 6)}
    for piece in pieces:
        outputs, state = served(piece, state)
    units = loaded.task.units()
    raws = torch.from_numpy(raw)
    wanted = units.outputs(loaded.model(units.inputs(raws))[0][-1], raws[-1])
    last = outputs if "--step" in words else outputs[-1]
    torch.testing.assert_close(last, wanted, rtol=1e-9, atol=1e-5)


class AsTheyAre(nn.Module):
    def forward(self, outputs, raw):
        return outputs.double()


class Tenfold(nn.Module):
    """What a task of somebody else's may have: other widths, and no mean or scale."""

    def forward(self, values, raw=None):
        return torch.cat([values.double(), 10 * values.double()], -1)


def units(inputs=None, outputs=None, columns=("a",), targets=("b",)):
    span = torch.tensor([[0.0] * len(columns), [1.0] * len(columns)], dtype=torch.float64)
    return rnnkit.Units(inputs or Tenfold(), outputs or AsTheyAre(), columns, targets, span)


def model():
    return build(rnnkit.Model, rnnkit.tasks["adding"](seq_len=6), "gru", 4)


@pytest.mark.slow
def test_units_of_another_width_on_a_layer(tmp_path):
    layer = build(rnnkit.RNN, "gru", 2, 3, batch_first=True)
    exported = rnnkit.export_model(
        layer, tmp_path / "layer.pt2", units=units(outputs=Tenfold(), targets=tuple("uvwxyz"))
    )
    assert [info.shape for info in (exported.inputs[0], exported.outputs[0])] == [
        ("batch", "time", 1),
        ("batch", "time", 6),
    ]
    xs = torch.rand(2, 9, 1, dtype=torch.float64)
    wanted = layer(torch.cat([xs, 10 * xs], -1).float())[0].double()
    found, _ = READERS["pt2"](exported.path)(xs)
    torch.testing.assert_close(found, torch.cat([wanted, 10 * wanted], -1), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"inputs": nn.Identity()}, "the units do not fit the model of 'gru': "),
        ({"columns": ("a", "b")}, "the units do not fit the model of 'gru': "),
        ({"targets": ("b", "c")}, "the units name 2 targets, the output of the model of 'gru' has 1; name each"),
    ],
    ids=str,
)
def test_units_that_do_not_fit_are_refused(tmp_path, given, sentence):
    with pytest.raises(UsageError, match=f"^{sentence}") as caught:
        rnnkit.export_model(model(), tmp_path / "model.pt2", units=units(**given))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_units_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"^units is a tuple; it must be a rnnkit.Units, as Task.units gives it"):
        rnnkit.export_model(model(), tmp_path / "model.pt2", units=(nn.Identity(), nn.Identity()))


class Scaled(nn.Module):
    """Units in which the model's own are as nothing."""

    def forward(self, values, raw):
        return values.double() * 1e-6 + 1e6


@torch.no_grad()
@pytest.mark.parametrize(("off", "refused"), [(1e-7, True), (1e-12, False)])
def test_what_is_near_is_asked_of_the_model_not_of_its_units(off, refused):
    """An error of a tenth of a deviation is nothing beside a million, and is found."""
    eager = Interface(model(), units=units(outputs=Scaled()))

    def served(xs):
        output, state = eager(xs)
        return output + off, state

    if refused:
        with pytest.raises(CheckError, match="the output after 4 steps of 3 rows from the file differs"):
            verification.verify(served, eager, step=False, state=False)
    else:
        verification.verify(served, eager, step=False, state=False)


class Shares(nn.Module):
    """Units that do not change where all that the model puts out is moved alike."""

    def forward(self, values, raw):
        return values.double().softmax(-1)


@torch.no_grad()
@pytest.mark.parametrize(("off", "refused"), [(1e-3, True), (1e-6, False)])
def test_what_comes_out_may_be_off_by_what_each_output_may(off, refused):
    layer = build(rnnkit.RNN, "gru", 2, 3)
    eager = Interface(layer, units=units(outputs=Shares(), targets=("u", "v", "w")))

    def served(xs):
        bare, state = eager.bare(xs)
        return eager.in_units(bare + torch.tensor([off, 0.0, 0.0]), xs), state

    if refused:
        with pytest.raises(CheckError, match="the output after 4 steps of 3 rows from the file differs"):
            verification.verify(served, eager, step=False, state=False)
    else:
        verification.verify(served, eager, step=False, state=False)


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize("content", [None, b"", b"PK nothing of the kind", b"\x08\x0a"], ids=repr)
def test_what_is_no_exported_file_is_refused(tmp_path, ending, content):
    path = tmp_path / f"model.{ending}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"is not there; give a file|is no file that `rnnkit export` wrote") as caught:
        rnnkit.read_exported(path)
    assert str(caught.value).startswith(f"{path} ")
    assert "\n" not in str(caught.value)


def test_the_ending_says_what_it_is(tmp_path):
    with pytest.raises(UsageError, match=r"ends in \.bin; the file of a model ends in \.pt2 or \.onnx"):
        rnnkit.read_exported(tmp_path / "model.bin")
