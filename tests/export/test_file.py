"""What is in the file beside numbers, and what becomes of the model."""

import json
import subprocess
import sys
import zipfile
from copy import deepcopy

import onnx
import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError
from rnnkit.export.interface import Interface

from ..slow_cases import slow_but
from .reading import READERS, build, check, load

adding = rnnkit.tasks["adding"](seq_len=6)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """Return a model with a learnt state, and its files: step by format."""
    model = build(rnnkit.Model, adding, "learnt_state", 4, inner="gru")
    folder = tmp_path_factory.mktemp("learnt")
    for format in READERS:
        rnnkit.export_model(model, folder / f"model.{format}", step=True, about={"mine": [1, "é"]})
    return model, folder


def about(path):
    """Return what a file says of itself."""
    if path.suffix == ".pt2":
        extra = {"rnnkit.json": ""}
        torch.export.load(path, extra_files=extra)
        return json.loads(extra["rnnkit.json"])
    return json.loads({entry.key: entry.value for entry in onnx.load(path).metadata_props}["rnnkit"])


@pytest.mark.parametrize("format", slow_but(["pt2"], READERS))
def test_the_file_tells_how_to_begin(learnt, format):
    model, folder = learnt
    told = about(folder / f"model.{format}")
    assert told["mine"] == [1, "é"]
    assert told["rnnkit"] == rnnkit.__version__
    assert [info["name"] for info in told["inputs"]] == ["input", "h_l0"]
    assert told["outputs"][1] == {"name": "next_h_l0", "dtype": "float32", "shape": ["batch", 4]}
    row = torch.tensor(told["initial_state"]["h_l0"])
    assert torch.equal(row, model.layer.initial_h_l0)
    xs = torch.rand(5, 2, 2)
    run, state, ys = READERS[format](folder / f"model.{format}"), {"h_l0": row.expand(2, 4)}, []
    for x in xs:
        y, state = run(x, state)
        ys.append(y)
    torch.testing.assert_close(torch.stack(ys), model(xs)[0])


def test_the_order_of_a_table_of_states_does_not_matter(tmp_path):
    model = build(rnnkit.RNN, "lstm", 3, 4)
    rnnkit.export_model(model, tmp_path / "model.pt2", step=True)
    run, (x, state) = load(tmp_path / "model.pt2"), Interface(model, step=True).example(1, 2)
    torch.testing.assert_close(run(x, dict(reversed(state.items()))), run(x, state), rtol=0, atol=0)


def test_the_file_asks_for_no_gradients(learnt):
    model, folder = learnt
    program = torch.export.load(folder / "model.pt2")
    assert len(list(program.parameters())) == len(list(model.parameters()))
    assert not any(p.requires_grad for p in program.parameters())
    assert all(p.requires_grad for p in model.parameters())
    assert not program.module()(torch.rand(1, 2), {"h_l0": torch.zeros(1, 4)})[0].requires_grad


def test_the_file_says_nothing_of_the_machine_and_has_no_pickle(learnt):
    _, folder = learnt
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert any(name.endswith("models/model.json") for name in parts)
    assert [name for name, data in parts.items() if data[:2] in (b"\x80\x02", b"PK")] == []
    parts["onnx"] = (folder / "model.onnx").read_bytes()
    places = [str(rnnkit.__path__[0]).encode(), str(torch.__path__[0]).encode(), __file__.encode()]
    assert [(name, place) for name, data in parts.items() for place in places if place in data] == []


def test_the_file_needs_no_rnnkit(learnt):
    _, folder = learnt
    code = (
        "import sys, torch\nsys.modules['rnnkit'] = None\n"
        f"run = torch.export.load({str(folder / 'model.pt2')!r}).module()\n"
        "print(tuple(run(torch.rand(3, 2), {'h_l0': torch.zeros(3, 4)})[0].shape))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.stdout == "(3, 1)\n", done.stderr


def test_the_model_stays_as_it_is(tmp_path, capfd):
    model = build(rnnkit.Model, adding, "zoneout", 4, num_layers=2, dropout=0.5, unroller="checkpoint").train()
    before = {name: (id(p), p.clone()) for name, p in model.named_parameters()}
    unroller, random = model.layer.unroller, torch.get_rng_state()
    rnnkit.export_model(model, tmp_path / "model.pt2")
    assert capfd.readouterr() == ("", "")
    assert model.layer.unroller is unroller
    assert torch.equal(torch.get_rng_state(), random)
    assert all(module.training for module in model.modules())
    assert all(id(p) == before[name][0] and torch.equal(p, before[name][1]) for name, p in model.named_parameters())
    for cell in model.layer.cells:
        assert {type(p) for p in cell.parameters()} == {torch.nn.Parameter}
    assert model(torch.rand(4, 2, 2))[0].requires_grad


def test_a_copy_is_exported_as_the_model(tmp_path):
    """What is on another device is copied to the CPU first."""
    model = build(rnnkit.RNN, "variational", 3, 4, num_layers=2)
    model(torch.rand(2, 2, 3))
    rnnkit.export_model(deepcopy(model).cpu(), tmp_path / "model.pt2")
    check(load(tmp_path / "model.pt2"), model)


def test_what_a_file_says_itself_is_not_said_otherwise(tmp_path):
    model = rnnkit.Model(rnnkit.tasks["adding"](seq_len=4), "gru", hidden_size=2, unroller="loop")
    with pytest.raises(UsageError, match="about has 'outputs', which the file says itself; give it another name"):
        rnnkit.export_model(model, tmp_path / "model.pt2", step=True, about={"outputs": ["mine"]})
    assert not (tmp_path / "model.pt2").exists()


def test_a_model_of_texts_has_its_symbols_and_labels_beside_it(cli, tmp_path):
    rows = "".join(f"it was {word} {at},{word}\n" for at in range(9) for word in ("good", "bad"))
    (tmp_path / "t.csv").write_text(f"text,label\n{rows}")
    words = ("--set", f"task.file={tmp_path / 't.csv'}", "--set", "task.tokens=word", "--unroller", "loop", "--quiet")
    done = cli("run", "--task", "classify", *words, "--hidden", 2, "--steps", 1, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert cli("export", tmp_path / "run", "--out", tmp_path / "model.pt2").exit_code == 0
    about = rnnkit.read_exported(tmp_path / "model.pt2")
    run = rnnkit.load(tmp_path / "run")
    assert about["labels"] == run.task.labels == ["bad", "good"]
    assert about["symbols"] == run.task.symbol_names()
    assert about["outputs"][0]["name"] == "output"
    symbols = torch.tensor([[about["symbols"].index(word)] for word in ("it", "was", "good")])
    output = torch.export.load(tmp_path / "model.pt2").module()(symbols)
    output = output[0] if isinstance(output, tuple) else output
    (tmp_path / "new.csv").write_text("text\nit was good\n")
    shares = run.predict(tmp_path / "new.csv").probabilities[0]
    torch.testing.assert_close(output[-1, 0].softmax(0), torch.as_tensor(shares, dtype=output.dtype))
