"""Export: the file computes what the model does, at any length, without rnnkit; what cannot be is refused in a line."""

import json
import subprocess
import sys
import zipfile
from copy import deepcopy

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import rnnkit
from rnnkit.errors import CheckError, ResourceError, UsageError
from rnnkit.export import file, program, verification
from rnnkit.export.interface import Interface
from rnnkit.export.pt2 import Pt2

# What was traced and verified at is nothing to these.
SIZES = [(1, 1), (2, 5), (17, 4)]
CELLS = list(rnnkit.cells)
adding, copy = rnnkit.tasks["adding"](seq_len=6), rnnkit.tasks["copy"](seq_len=5)


def build(kind, *arguments, dtype=torch.float32, **options):
    """Build a model or layer of random weights, biases and gains, in evaluation mode."""
    torch.manual_seed(0)
    model = kind(*arguments, **options).to(dtype).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def load(path):
    """Read a file of torch's."""
    return torch.export.load(path).module()


class Session:
    """A file of ONNX, in onnxruntime, called as one of torch's is."""

    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(path)
        self.names = [value.name for value in self.session.get_outputs()]

    def __call__(self, xs, state=None):
        fed = {name: tensor.detach().numpy() for name, tensor in {"input": xs, **(state or {})}.items()}
        outputs = dict(zip(self.names, map(torch.from_numpy, self.session.run(self.names, fed)), strict=True))
        return outputs.pop("output"), {name.removeprefix("next_"): tensor for name, tensor in outputs.items()}


READERS = {"pt2": load, "onnx": Session}


def check(run, model, sizes=SIZES, state=False):
    """Compare a file of whole sequences with its model."""
    eager = Interface(model)
    for time, batch in sizes:
        xs, start = eager.example(time, batch)
        arguments = (xs, start) if state else (xs,)
        with torch.no_grad():
            torch.testing.assert_close(run(*arguments), eager(*arguments), msg=f"at {time, batch}".__add__)


def check_steps(run, model, steps=9, batch=3):
    """Compare as many single steps with the whole."""
    eager = Interface(model)
    xs, start = eager.example(steps, batch)
    state, ys = start, []
    with torch.no_grad():
        for x in xs:
            y, state = run(x, state)
            ys.append(y)
        torch.testing.assert_close((torch.stack(ys), state), eager(xs, start))


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_at_other_lengths_than_those_traced(cell, tmp_path):
    model = build(rnnkit.Model, copy, cell, 7, embedding_size=3)
    exported = rnnkit.export_model(model, tmp_path / "model.pt2")
    assert {program.TRACED, *verification.SIZES}.isdisjoint(SIZES)
    assert exported.difference < 1e-5
    check(load(exported.path), model)


def test_steps_of_every_cell_make_up_the_whole(tmp_path):
    model = build(rnnkit.RNN, CELLS, 3, 4)
    rnnkit.export_model(model, tmp_path / "model.pt2", step=True)
    check_steps(load(tmp_path / "model.pt2"), model)


def test_onnx_has_free_sizes_and_a_node_for_each_loop(tmp_path):
    model = build(rnnkit.RNN, ["layernorm", "zoneout(gru, rate=0.2)"], 3, 4)
    path = tmp_path / "model.onnx"
    exported = rnnkit.export_model(model, path)
    check(Session(path), model)
    found = onnx.load(path)
    onnx.checker.check_model(found, full_check=True)
    assert [node.op_type for node in found.graph.node].count("Scan") == 2
    for infos, values in ((exported.inputs, found.graph.input), (exported.outputs, found.graph.output)):
        shapes = [tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim) for value in values]
        assert shapes == [info.shape for info in infos]
        assert [value.name for value in values] == [info.name for info in infos]
    assert exported.inputs[0].shape == ("time", "batch", 3)
    assert list(tmp_path.iterdir()) == [path]  # the weights are inside


LAYERS = {
    "every option": {"num_layers": 2, "bidirectional": True, "proj_size": 3, "residual": True, "batch_first": True},
    "trainable state": {"trainable_state": True},
}


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
def test_a_layer_over_sequences_in_pieces(options, tmp_path):
    model = build(rnnkit.RNN, "lstm", 3, 5, **options)
    rnnkit.export_model(model, tmp_path / "model.pt2", state=True)
    check(load(tmp_path / "model.pt2"), model, state=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("state", [False, True])
def test_a_layer_in_onnx(options, state, tmp_path):
    model = build(rnnkit.RNN, "lstm", 3, 5, **options)
    rnnkit.export_model(model, tmp_path / "model.onnx", state=state)
    check(Session(tmp_path / "model.onnx"), model, state=state)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("format", READERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_in_every_way(cell, dtype, format, tmp_path):
    model = build(rnnkit.Model, adding, cell, 7, num_layers=2, dtype=dtype)
    for options in ({}, {"state": True}, {"step": True}):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.{format}"
        rnnkit.export_model(model, path, **options)
        if "step" in options:
            check_steps(READERS[format](path), model)
        else:
            check(READERS[format](path), model, **options)


def test_symbols_of_a_float64_model_in_onnx(tmp_path):
    model = build(rnnkit.Model, copy, "gru", 7, embedding_size=3, dtype=torch.float64)
    exported = rnnkit.export_model(model, tmp_path / "model.onnx")
    assert [info.dtype for info in (*exported.inputs, *exported.outputs)] == ["int64", "float64", "float64"]
    assert exported.difference < 1e-12
    check(Session(exported.path), model)


class Filling(rnnkit.Cell):
    """A cell that writes into a new tensor: in ONNX, sizes that nobody knows beforehand."""

    name = "filling"

    def step(self, p, state):
        h = torch.empty_like(state[0])
        h[:, :1] = torch.sigmoid(p[:, :1])
        h[:, 1:] = torch.tanh(p + state[0])[:, 1:]
        return h, (h,)


def test_sizes_without_a_name_stay_apart_in_onnx(tmp_path):
    model = build(rnnkit.RNN, Filling, 3, 3)
    rnnkit.export_model(model, tmp_path / "model.onnx")
    check(Session(tmp_path / "model.onnx"), model)


def test_a_cell_without_state_and_one_of_several_projections(tmp_path):
    class Stateless(rnnkit.Cell):
        name = "stateless"
        state_names = ()

        def step(self, p, state):
            return torch.tanh(p), ()

    class Nested(rnnkit.Cell):
        name = "nested"

        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.mix = torch.nn.Linear(input_size, hidden_size)

        def project(self, xs):
            return (self.mix(xs), (xs, xs.sum(-1)))

        def step(self, p, state):
            p, (x, total) = p
            h = torch.tanh(p + state[0] * total.unsqueeze(1))
            return torch.cat([h, x], 1), (h,)

        @property
        def output_size(self):
            return self.hidden_size + self.input_size

    for kind in (Stateless, Nested):
        model = build(rnnkit.RNN, kind, 3, 3)
        path = tmp_path / f"{kind.name}.pt2"
        rnnkit.export_model(model, path)
        check(load(path), model)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """Give a model with a learnt state, and its files: step by format."""
    model = build(rnnkit.Model, adding, "learnt_state", 4, inner="gru")
    folder = tmp_path_factory.mktemp("learnt")
    for format in READERS:
        rnnkit.export_model(model, folder / f"model.{format}", step=True, about={"mine": [1, "é"]})
    return model, folder


def about(path):
    """Give what a file says of itself."""
    if path.suffix == ".pt2":
        extra = {"rnnkit.json": ""}
        torch.export.load(path, extra_files=extra)
        return json.loads(extra["rnnkit.json"])
    return json.loads({entry.key: entry.value for entry in onnx.load(path).metadata_props}["rnnkit"])


@pytest.mark.parametrize("format", READERS)
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


def test_parametrized_weights(tmp_path):
    model = build(rnnkit.RNN, "rnn", 3, 4)
    torch.nn.utils.parametrizations.weight_norm(model, "weight_hh_l0")
    rnnkit.weight_drop(model, weights="weight_ih")
    rnnkit.export_model(model.train(), tmp_path / "model.pt2")
    check(load(tmp_path / "model.pt2"), model.eval())


class Branching(rnnkit.Cell):
    """A cell that looks at its numbers."""

    name = "branching"

    def step(self, p, state):
        h = torch.tanh(p + state[0])
        return (h, (h,)) if h.sum() > 0 else (-h, (-h,))


class Gambling(rnnkit.Cell):
    """A cell that draws where it must not."""

    name = "gambling"

    def step(self, p, state):
        h = torch.tanh(p + state[0] + torch.randn_like(p))
        return h, (h,)


@pytest.mark.parametrize("step", [False, True])
def test_a_cell_that_torch_refuses_is_named(step, tmp_path):
    with pytest.raises(
        UsageError, match=r"^cell 'branching' .* cannot be exported: \w+: .*(?i:data-dependent)"
    ) as caught:
        rnnkit.export_model(rnnkit.RNN(Branching, 3, 3), tmp_path / "model.pt2", step=step)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_differs_from_the_model_is_not_written(tmp_path):
    with pytest.raises(CheckError, match=r"^the output after 4 steps of 3 rows from the file differs .* by up to"):
        rnnkit.export_model(rnnkit.RNN(Gambling, 3, 3), tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda y, s: (y, {"h_l0": s["h_l0"] + 1e-3}), "state 'h_l0' after 4 steps of 3 rows .* 1.0e-03"),
        (lambda y, s: (y[-1], s), r"the output .* \(3, 4\) from the file"),
        (lambda y, s: (y.double(), s), "the output .* torch.float64 .* from the file, torch.float32"),
        (lambda y, s: (y * float("nan"), s), "the output .* differs"),
        (lambda y, s: (y, {}), "the states"),
        (lambda y, s: (y if len(y) == 4 else y + 1e-3, s), "the output after 11 steps of 1 rows"),
    ],
    ids=["state", "shape", "dtype", "nan", "names", "length"],
)
@torch.no_grad()
def test_every_tensor_is_verified(change, sentence):
    model = Interface(build(rnnkit.RNN, "gru", 3, 4))
    assert verification.verify(model, model, step=False, state=False) == 0.0
    with pytest.raises(CheckError, match=sentence):
        verification.verify(lambda *fed: change(*model(*fed)), model, step=False, state=False)


def test_a_file_that_does_not_run_is_not_left(tmp_path, monkeypatch):
    monkeypatch.setattr(Pt2, "load", lambda self, path: lambda *fed: 1 / 0)
    with pytest.raises(CheckError, match=r"'gru': the file of pt2 does not run: ZeroDivisionError"):
        rnnkit.export_model(rnnkit.RNN("gru", 3, 4), tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


def test_two_lengths_are_verified():
    lengths, rows = zip(*verification.SIZES, strict=True)
    assert len(set(lengths) - {program.TRACED[0]}) >= 2
    assert len(set(rows) - {program.TRACED[1]}) >= 2


def test_nothing_is_written_over(tmp_path, monkeypatch):
    path = tmp_path / "model.pt2"
    path.write_text("mine")
    (tmp_path / "link.pt2").symlink_to("nowhere")
    for there in (path, tmp_path / "link.pt2"):
        with pytest.raises(UsageError, match="exists already"):
            rnnkit.export_model(rnnkit.RNN("gru", 3, 4), there)
    assert path.read_text() == "mine"
    # Nor what appears meanwhile.
    monkeypatch.setattr(file, "verify", lambda *arguments, **options: (tmp_path / "new.pt2").write_text("theirs"))
    with pytest.raises(UsageError, match="exists already"):
        rnnkit.export_model(rnnkit.RNN("gru", 3, 4), tmp_path / "new.pt2")
    assert (tmp_path / "new.pt2").read_text() == "theirs"
    assert len(list(tmp_path.iterdir())) == 3


BAD = [
    ({"path": "model.pt2", "format": "onnx"}, UsageError, "ends as a file of pt2, the format is onnx"),
    ({"path": "model.bin", "format": "onx"}, UsageError, "unknown format 'onx' .did you mean 'onnx'"),
    ({"path": "nowhere/model.pt2"}, ResourceError, "there is no folder .*nowhere"),
    ({"step": 1}, UsageError, "step is 1; it must be True or False"),
    ({"about": {"a": object()}}, UsageError, "about cannot be written as JSON"),
    ({"model": torch.nn.LSTM(3, 4)}, UsageError, "the model is a LSTM"),
    ({"model": rnnkit.RNN("gru", 3, 4, bidirectional=True), "step": True}, UsageError, "bidirectional"),
]


@pytest.mark.parametrize(("changed", "kind", "sentence"), BAD, ids=[row[2] for row in BAD])
def test_bad_arguments(changed, kind, sentence, tmp_path):
    options = {"model": rnnkit.RNN("gru", 3, 4), "path": "model.pt2", **changed}
    model, path = options.pop("model"), tmp_path / options.pop("path")
    with pytest.raises(kind, match=sentence):
        rnnkit.export_model(model, path, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_names_the_extra(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ResourceError, match=rf"^export to onnx needs {package}; pip install 'rnnkit\[onnx\]'$"):
        rnnkit.export_model(rnnkit.RNN("gru", 3, 4), tmp_path / "model.onnx")


def test_a_torch_without_scan_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch._higher_order_ops.scan", None)
    with pytest.raises(ResourceError, match=r"^torch .* has no scan"):
        rnnkit.export_model(rnnkit.RNN("gru", 3, 4), tmp_path / "model.pt2")


def test_weights_too_large_for_onnx(tmp_path, monkeypatch):
    monkeypatch.setattr("rnnkit.export.onnx.LARGEST", 100)
    with pytest.raises(UsageError, match="too large for one file of ONNX; export to pt2"):
        rnnkit.export_model(rnnkit.RNN("gru", 3, 4), tmp_path / "model.onnx")


def test_the_suffix_chooses_the_format():
    read = file.read_format
    named = [("a.onnx", None), ("a.PT2", None), ("a.bin", None), ("a", "onnx"), ("a.onnx", "onnx")]
    assert [read(format, file.Path(path)).name for path, format in named] == ["onnx", "pt2", "pt2", "onnx", "onnx"]


def test_half_precision(tmp_path):
    exported = rnnkit.export_model(build(rnnkit.RNN, "gru", 3, 4, dtype=torch.bfloat16), tmp_path / "model.pt2")
    assert exported.outputs[0].dtype == "bfloat16"
    assert np.isfinite(exported.difference)
