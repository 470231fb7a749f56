"""Saved weights come back bit for bit, or not at all, with a sentence."""

import hashlib
import json
import os
import pickle

import pytest
import torch
from safetensors.torch import save
from torch import nn

import rnnkit
from rnnkit.checkpoint import SCHEMA, environment, load_weights, save_weights, write_atomically
from rnnkit.errors import CheckpointError, ResourceError
from rnnkit.settings import Settings


def build(seed=0, cell="lstm", hidden=4, dtype=torch.float32):
    torch.manual_seed(seed)
    return rnnkit.RNN(cell, 3, hidden, num_layers=2, dtype=dtype)


@pytest.fixture
def saved(tmp_path):
    """Give the path of a saved checkpoint, and the model that it was saved from."""
    model, path = build(), tmp_path / "last"
    save_weights(model, path, {"step": 7})
    return path, model


def rewrite(path, data):
    """Replace the tensors' file, and let the manifest agree with it."""
    path.with_suffix(".safetensors").write_bytes(data)
    manifest = json.loads(path.with_suffix(".json").read_text())
    manifest["sha256"] = hashlib.sha256(data).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(manifest))


def refuse(path, match, model=None):
    """Expect a CheckpointError, and a model that is as it was."""
    model = model or build(1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=match):
        load_weights(model, path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("cell", list(rnnkit.cells))
def test_round_trip(cell, dtype, tmp_path):
    model, other = build(0, cell, dtype=dtype), build(1, cell, dtype=dtype)
    with torch.no_grad():
        next(model.parameters()).flatten()[:3] = torch.tensor([-0.0, 1e-38, float("inf")])
    save_weights(model, tmp_path / "last", {})
    load_weights(other, tmp_path / "last")
    for name, tensor in model.state_dict().items():
        found = other.state_dict()[name]
        assert found.dtype == tensor.dtype
        assert torch.equal(found.view(torch.uint8), tensor.view(torch.uint8)), name


def test_weights_that_are_views_are_saved_too(tmp_path):
    model = nn.Linear(3, 4)
    model.weight = nn.Parameter(torch.randn(3, 4).t())
    save_weights(model, tmp_path / "last", {})
    other = nn.Linear(3, 4)
    load_weights(other, tmp_path / "last")
    assert torch.equal(other.weight, model.weight)


def test_the_manifest_tells_what_was_saved(saved):
    path, _ = saved
    data = path.with_suffix(".safetensors").read_bytes()
    manifest = load_weights(build(1), path)
    assert manifest == json.loads(path.with_suffix(".json").read_text())
    assert manifest == {
        "schema": SCHEMA,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "step": 7,
    }


def test_saving_again_replaces(saved):
    path, _ = saved
    second = build(2)
    save_weights(second, path, {"step": 8})
    found = build(3)
    assert load_weights(found, path)["step"] == 8
    assert torch.equal(found.weight_ih_l0, second.weight_ih_l0)
    assert sorted(file.name for file in path.parent.iterdir()) == ["last.json", "last.safetensors"]


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_missing_file(saved, suffix):
    path, _ = saved
    path.with_suffix(suffix).unlink()
    refuse(path, rf"last\{suffix} .*No such file")


def test_every_truncation(saved):
    path, _ = saved
    data = path.with_suffix(".safetensors").read_bytes()
    for length in (0, 1, 7, 8, 9, 100, len(data) // 2, len(data) - 1):
        path.with_suffix(".safetensors").write_bytes(data[:length])
        refuse(path, r"last\.safetensors is not what its manifest describes \(sha256 differs\); it is damaged")


def test_a_flipped_bit_anywhere(saved):
    path, _ = saved
    data = path.with_suffix(".safetensors").read_bytes()
    for place in range(0, len(data), max(1, len(data) // 50)):
        flipped = bytearray(data)
        flipped[place] ^= 1
        path.with_suffix(".safetensors").write_bytes(bytes(flipped))
        refuse(path, "it is damaged")


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"\xff" * 8, (2**63).to_bytes(8, "little") + b"{}", b"\2\0\0\0\0\0\0\0[]", pickle.dumps({"a": 1})],
    ids=["empty", "one byte", "no header", "huge header", "not a table", "a pickle"],
)
def test_what_is_no_safetensors_file_though_the_manifest_agrees(saved, data):
    path, _ = saved
    rewrite(path, data)
    refuse(path, r"last\.safetensors is not a safetensors file")


class Trap:
    """Would leave a mark if it were unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def test_a_pickle_is_never_run(saved, tmp_path):
    path, _ = saved
    mark = tmp_path / "mark"
    rewrite(path, pickle.dumps(Trap(mark)))
    refuse(path, "is not a safetensors file")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("manifest", "match"),
    [
        ("", "is not a readable manifest"),
        ("{", "is not a readable manifest"),
        ("[" * 100_000, "is not a readable manifest"),
        ("\ud800", "is not a readable manifest"),
        ("[]", "has schema None; this version of rnnkit reads 1"),
        ("{}", "has schema None; this version of rnnkit reads 1"),
        ('{"schema": 2}', "has schema 2; this version of rnnkit reads 1"),
        ('{"schema": 1}', "it is damaged"),
        ('{"schema": 1, "sha256": 5}', "it is damaged"),
    ],
    ids=["empty", "cut", "deep", "not utf-8", "list", "no schema", "later schema", "no sum", "odd sum"],
)
def test_a_manifest_that_does_not_fit(saved, manifest, match):
    path, _ = saved
    path.with_suffix(".json").write_bytes(manifest.encode("utf-8", "surrogatepass"))
    refuse(path, match)


def test_another_model_is_named(saved):
    path, _ = saved
    refuse(path, r"'bias_hh_l0' is \(16,\), the model's is \(20,\); it was saved from another model", build(hidden=5))
    refuse(path, r"'bias_hh_l0' is \(16,\), the model's is \(12,\)", build(cell="gru"))
    refuse(path, r"the model has 'peephole_f_l0', the checkpoint lacks it", build(cell="peephole"))
    refuse(path, r"the checkpoint has 'bias_hh_l1', the model lacks it", rnnkit.RNN("lstm", 3, 4))


def test_a_tensor_too_few(saved):
    path, model = saved
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    del tensors["weight_hh_l1"]
    rewrite(path, save(tensors))
    refuse(path, "the model has 'weight_hh_l1', the checkpoint lacks it; it was saved from another model")


def test_a_folder_in_place_of_a_file(saved):
    path, _ = saved
    path.with_suffix(".safetensors").unlink()
    path.with_suffix(".safetensors").mkdir()
    refuse(path, "cannot be read: Is a directory")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, call):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    write_atomically(path, b"before")
    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else ("pathlib.Path.replace",)), fail)
    with pytest.raises(ResourceError, match=r"file cannot be written: No space left on device"):
        write_atomically(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ResourceError, match="cannot be written: No such file or directory"):
        write_atomically(tmp_path / "nowhere" / "file", b"")


def test_the_file_is_on_disk_before_its_name_is(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, type(tmp_path).replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append("fsync"), fsync(file)))
    monkeypatch.setattr("pathlib.Path.replace", lambda self, to: (order.append("replace"), replace(self, to))[1])
    write_atomically(tmp_path / "file", b"data")
    assert order == ["fsync", "replace", "fsync"]


ODD = [
    "",
    " ",
    'a "quoted" word',
    "back\\slash",
    "tab\tnewline\nreturn\r",
    "\x00\x1f\x7f",
    "é ∂ 漢 🙂",
    "\u2028\ufeff",
    "# no = [comment]",
]


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_settings_come_back_whatever_the_strings(text, tmp_path):
    settings = Settings(
        task_options={"text": text, "list": [text, 1, 2.5, True]},
        tbptt=[3, 9],
        lr=1e-30,
        clip=1e16,
        seed=2**63 - 1,
    )
    path = tmp_path / "config.toml"
    path.write_text(settings.to_toml(), encoding="utf-8", newline="")
    assert Settings.read(path) == settings


@pytest.mark.parametrize("text", ["steps = ", "stepz = 3", "\udcff"], ids=ascii)
def test_what_is_no_configuration_is_refused(text, tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=r"config\.toml"):
        Settings.read(path)


def test_the_environment_is_what_bits_depend_on():
    found = environment()
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert set(found) == {"torch", "threads", "instruction_set", "deterministic"}
    assert json.loads(json.dumps(found)) == found


def test_tied_weights_are_saved(tmp_path):
    layer = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    layer[1].weight = layer[0].weight
    save_weights(layer, tmp_path / "tied", {})
    again = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    load_weights(again, tmp_path / "tied")
    assert torch.equal(again[0].weight, layer[0].weight)


def test_a_whole_number_will_do_for_a_real_one(tmp_path):
    (tmp_path / "config.toml").write_text(Settings().to_toml().replace("lr = 0.001", "lr = 1"))
    settings = Settings.read(tmp_path / "config.toml")
    assert settings.lr == 1.0
    assert isinstance(settings.lr, float)
