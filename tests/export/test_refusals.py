"""What cannot be exported is refused in a line, and nothing is left of it."""

import sys

import pytest
import torch

import rnnkit
from rnnkit.errors import CheckError, ResourceError, UsageError
from rnnkit.export import file, program, verification
from rnnkit.export.interface import Interface
from rnnkit.export.pt2 import Pt2

from .reading import build


class Branching(rnnkit.Cell):
    """A cell that looks at its numbers."""

    name = "branching"

    def step(self, p, state):
        h = torch.tanh(p + state[0])
        return (h, (h,)) if h.sum() > 0 else (-h, (-h,))


class Plain(rnnkit.Cell):
    """A cell with nothing amiss."""

    name = "plain"

    def step(self, p, state):
        h = torch.tanh(p + state[0])
        return h, (h,)


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


class Counting(rnnkit.Cell):
    """A cell that makes the number of steps a constant."""

    name = "counting"

    def project(self, xs):
        return xs * (len(xs) if len(xs) > 4 else 1)

    def step(self, p, state):
        h = torch.tanh(p + state[0])
        return h, (h,)


def test_a_refused_model_spoils_no_other(tmp_path):
    """torch keeps what it has compiled of a model, for one length, and would use it for the next model."""
    with pytest.raises(UsageError, match=r"the model of 'counting' cannot be exported to pt2: .*\(time\)"):
        rnnkit.export_model(rnnkit.RNN(Counting, 3, 3), tmp_path / "model.pt2")
    rnnkit.export_model(rnnkit.RNN(Plain, 3, 3), tmp_path / "model.pt2")


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
    named = [("a.onnx", None), ("a.PT2", None), ("a", None), ("a", "onnx"), ("a.onnx", "onnx")]
    assert [read(format, file.Path(path)).name for path, format in named] == ["onnx", "pt2", "pt2", "onnx", "onnx"]


@pytest.mark.parametrize("name", ["x.tflite", "x.bin", "x.pt", "x.pt2.zip", "model-1.5"])
@pytest.mark.parametrize("format", [None, "pt2"])
def test_an_unknown_ending_is_refused(tmp_path, name, format):
    with pytest.raises(UsageError, match=r"ends in \.\w+; the file of a model ends in \.pt2 or \.onnx$"):
        rnnkit.export_model(rnnkit.RNN("gru", 3, 4), tmp_path / name, format=format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", [None, "pt2"])
@pytest.mark.parametrize("name", [".onnx", ".pt2", ".PT2", "folder/.pt2", ".model", "..onnx", " .pt2", "model."])
def test_an_ending_alone_is_no_name(tmp_path, monkeypatch, name, format):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(
        UsageError, match=r"is an ending without a name; put a name before it, such as model\.\w+$|dot;"
    ):
        rnnkit.export_model(rnnkit.RNN("gru", 3, 4), name, format=format)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]
