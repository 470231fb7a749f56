"""A checkpoint comes back bit for bit, or not at all, with a sentence."""

import hashlib
import json
import os
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save
from torch import nn

import rnnkit
from rnnkit.checkpoints.checkpoint import (
    AVERAGED,
    MANIFEST,
    SCHEMA,
    TRAINING,
    WEIGHTS,
    environment,
    load_checkpoint,
    read_manifest,
    restore,
    save_checkpoint,
)
from rnnkit.errors import CheckpointError, ResourceError

from ..core_cells import CORE_CELLS

STATE = {"step": 7, "carried": (torch.arange(3.0), None), "best": (3, 0.5)}


def build(seed=0, cell="lstm", hidden=4, dtype=torch.float32):
    torch.manual_seed(seed)
    return rnnkit.RNN(cell, 3, hidden, num_layers=2, dtype=dtype, unroller="loop")  # which is not what is kept


@pytest.fixture
def saved(tmp_path):
    """Return the path of a saved checkpoint, and the model that it was saved from."""
    model, path = build(), tmp_path / "saved"
    save_checkpoint(path, model.state_dict(), STATE, {"step": 7}, averaged=build(5).state_dict())
    return path, model


def take(model, path):
    """Load a checkpoint into a model."""
    restore(model, load_checkpoint(path).weights, path)


def seal(path, manifest):
    """Write a manifest, and the sum that belongs to it."""
    manifest.pop("sha256", None)
    plain = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    sealed = {**manifest, "sha256": hashlib.sha256(plain).hexdigest()}
    (path / MANIFEST).write_text(json.dumps(sealed))


def rewrite(path, data, name=WEIGHTS):
    """Replace a file of tensors, and let the manifest agree with it."""
    (path / name).write_bytes(data)
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    seal(path, manifest)


def refuse(path, match, model=None):
    """Expect a CheckpointError, and a model that is as it was."""
    model = model or build(1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=match):
        take(model, path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def same(first, second):
    """Whether two tensors have the same dtype and bits."""
    return first.dtype == second.dtype and torch.equal(first.view(torch.uint8), second.view(torch.uint8))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("cell", CORE_CELLS)
def test_round_trip(cell, dtype, tmp_path):
    model, other = build(0, cell, dtype=dtype), build(1, cell, dtype=dtype)
    with torch.no_grad():
        next(model.parameters()).flatten()[:2] = torch.tensor([-0.0, 1e-38])
    save_checkpoint(tmp_path / "saved", model.state_dict(), None, {})
    take(other, tmp_path / "saved")
    for name, tensor in model.state_dict().items():
        assert same(other.state_dict()[name], tensor), name


def test_all_of_it_comes_back(saved):
    path, model = saved
    found = load_checkpoint(path)
    assert found.path == path
    assert all(same(found.weights[name], tensor) for name, tensor in model.state_dict().items())
    assert all(same(found.averaged[name], tensor) for name, tensor in build(5).state_dict().items())
    assert found.training.keys() == STATE.keys()
    assert (found.training["step"], found.training["best"]) == (7, (3, 0.5))
    carried, nothing = found.training["carried"]
    assert nothing is None
    assert torch.equal(carried, STATE["carried"][0])


def test_without_averaged_weights_there_are_none(tmp_path):
    save_checkpoint(tmp_path / "saved", build().state_dict(), STATE, {})
    assert load_checkpoint(tmp_path / "saved").averaged is None
    assert not (tmp_path / "saved" / AVERAGED).exists()


def test_others_can_read_the_weights(saved):
    path, model = saved
    other = build(1)
    other.load_state_dict(load_file(path / WEIGHTS))
    assert all(same(a, b) for a, b in zip(other.state_dict().values(), model.state_dict().values(), strict=True))


def test_weights_that_are_views_are_saved_too(tmp_path):
    model = nn.Linear(3, 4)
    model.weight = nn.Parameter(torch.randn(3, 4).t())
    save_checkpoint(tmp_path / "saved", model.state_dict(), None, {})
    other = nn.Linear(3, 4)
    take(other, tmp_path / "saved")
    assert torch.equal(other.weight, model.weight)


def test_tied_weights_are_saved(tmp_path):
    layer, again = (nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)) for _ in range(2))
    layer[1].weight = layer[0].weight
    save_checkpoint(tmp_path / "tied", layer.state_dict(), None, {})
    take(again, tmp_path / "tied")
    assert torch.equal(again[0].weight, layer[0].weight)
    assert torch.equal(again[1].weight, layer[0].weight)


def test_the_manifest_tells_what_was_saved(saved):
    path, _ = saved
    manifest = load_checkpoint(path).manifest
    assert {**manifest, "sha256": json.loads((path / MANIFEST).read_text())["sha256"]} == json.loads(
        (path / MANIFEST).read_text()
    )
    assert manifest == read_manifest(path)
    assert (manifest["schema"], manifest["step"]) == (SCHEMA, 7)
    assert manifest["files"].keys() == {WEIGHTS, AVERAGED, TRAINING}
    for name, listed in manifest["files"].items():
        data = (path / name).read_bytes()
        assert listed == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def test_the_same_is_saved_as_the_same_bytes(saved):
    path, model = saved
    again = path.with_name("again")
    save_checkpoint(again, model.state_dict(), STATE, {"step": 7}, averaged=build(5).state_dict())
    assert {file.name: file.read_bytes() for file in path.iterdir()} == {
        file.name: file.read_bytes() for file in again.iterdir()
    }


def test_what_is_there_is_not_written_over(saved):
    path, _ = saved
    before = {file: file.read_bytes() for file in path.iterdir()}
    with pytest.raises(ResourceError, match="cannot be written"):
        save_checkpoint(path, build(2).state_dict(), STATE, {"step": 8})
    assert {file: file.read_bytes() for file in path.iterdir()} == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS, AVERAGED, TRAINING])
def test_a_missing_file(saved, name):
    path, _ = saved
    (path / name).unlink()
    refuse(path, rf"{name} cannot be read: No such file")


def test_a_missing_folder(tmp_path):
    refuse(tmp_path / "nowhere", r"nowhere/manifest\.json cannot be read: No such file")


@pytest.mark.parametrize("name", [WEIGHTS, AVERAGED, TRAINING])
def test_every_truncation(saved, name):
    path, _ = saved
    data = (path / name).read_bytes()
    for length in {0, 1, 7, 8, 9, len(data) // 2, len(data) - 9, len(data) - 1}:
        (path / name).write_bytes(data[:length])
        refuse(path, rf"{name} is not what its manifest describes \(sha256 differs\); it is damaged")


def test_a_file_that_is_longer_than_its_manifest_says(saved):
    path, _ = saved
    with (path / WEIGHTS).open("ab") as file:
        file.write(b"\0")
    refuse(path, rf"{WEIGHTS} has \d+ bytes; at most \d+ were expected, so it is damaged")


@pytest.mark.parametrize("name", [WEIGHTS, AVERAGED, TRAINING, MANIFEST])
def test_a_flipped_bit_anywhere(saved, name):
    path, _ = saved
    data = (path / name).read_bytes()
    for place in range(0, len(data), max(1, len(data) // 50)):
        for bit in (1, 2, 64):
            flipped = bytearray(data)
            flipped[place] ^= bit
            (path / name).write_bytes(bytes(flipped))
            if name == MANIFEST and only_space_differs(data, flipped):
                continue
            refuse(path, str(path))


def only_space_differs(data, flipped):
    """Whether a manifest says the same in both: one kind of white space may stand for another."""
    try:
        return json.loads(bytes(data)) == json.loads(bytes(flipped))
    except ValueError:
        return False


def test_two_tensors_that_changed_places(saved):
    path, model = saved
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors["bias_hh_l0"], tensors["bias_ih_l0"] = tensors["bias_ih_l0"], tensors["bias_hh_l0"]
    (path / WEIGHTS).write_bytes(save(tensors))
    refuse(path, "it is damaged")


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"\xff" * 8, (2**63).to_bytes(8, "little") + b"{}", b"\2\0\0\0\0\0\0\0[]", pickle.dumps({"a": 1})],
    ids=["empty", "one byte", "no header", "huge header", "not a table", "a pickle"],
)
@pytest.mark.parametrize("name", [WEIGHTS, TRAINING])
def test_what_is_no_safetensors_file_though_the_manifest_agrees(saved, data, name):
    path, _ = saved
    rewrite(path, data, name)
    refuse(path, rf"{name} is not a safetensors file")


class Trap:
    """Would leave a mark if it were unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


@pytest.mark.parametrize("name", [WEIGHTS, TRAINING])
def test_a_pickle_is_never_run(saved, tmp_path, name):
    path, _ = saved
    mark = tmp_path / "mark"
    rewrite(path, pickle.dumps(Trap(mark)), name)
    refuse(path, "is not a safetensors file")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("manifest", "match"),
    [
        ("", "is not a readable manifest"),
        ("{", "is not a readable manifest"),
        ("[" * 100_000, "is not a readable manifest"),
        ("\ud800", "is not a readable manifest"),
        ('{"schema": 2, "schema": 2}', "is not a readable manifest: a key comes twice"),
        ('{"schema": 2, "files": {"a": 1, "a": 1}}', "is not a readable manifest: a key comes twice"),
        ('{"schema": NaN}', "is not a readable manifest: NaN is not a finite number"),
        ('{"schema": 2, "step": 1e999}', "is not a readable manifest: 1e999 is not a finite number"),
        (f'{{"schema": 2, "step": {"9" * 5000}}}', "is not a readable manifest"),
        (f'{{"schema": 2, "step": {"[" * 500}{"]" * 500}}}', "is (damaged|not a readable manifest)"),
        ("[]", "is not a manifest: it holds a list"),
        ("5", "is not a manifest: it holds a int"),
        ("{}", "has schema None; this version of rnnkit reads 2"),
        ('{"schema": 1}', "has schema 1; this version of rnnkit reads 2"),
        ('{"schema": 3}', "has schema 3; this version of rnnkit reads 2"),
        ('{"schema": 2}', "it is damaged"),
        ('{"schema": 2, "sha256": 5}', "it is damaged"),
    ],
    ids=[
        *("empty", "cut", "deep", "not utf-8", "key twice", "inner key twice", "nan", "infinite", "long number"),
        *("rather deep", "list", "number", "no schema", "earlier schema", "later schema", "no sum", "odd sum"),
    ],
)
def test_a_manifest_that_does_not_fit(saved, manifest, match):
    path, _ = saved
    (path / MANIFEST).write_bytes(manifest.encode("utf-8", "surrogatepass"))
    refuse(path, match)


@pytest.mark.parametrize(
    "files",
    [None, [], {}, {WEIGHTS: {}}, {WEIGHTS: {}, TRAINING: {}, "../elsewhere": {}}, {WEIGHTS: {}, "/etc/passwd": {}}],
    ids=str,
)
def test_a_manifest_of_other_files(saved, files):
    path, _ = saved
    seal(path, {**read_manifest(path), "files": files})
    refuse(path, r"manifest\.json does not list the files of a checkpoint")


@pytest.mark.parametrize("listed", [None, [], {}, {"bytes": "many"}, {"bytes": True}, {"bytes": 1.0}], ids=str)
def test_a_manifest_without_a_size(saved, listed):
    path, _ = saved
    manifest = read_manifest(path)
    seal(path, {**manifest, "files": {**manifest["files"], WEIGHTS: listed}})
    refuse(path, rf"manifest\.json does not say how large {WEIGHTS} is")


@pytest.mark.parametrize(
    "training",
    [
        {"$tensor": "nowhere"},
        {"$tensor": []},
        {"$tuple": 5},
        {"$items": [1]},
        {"$items": [[[], 1]]},
        {"$float": "many"},
        {"$float": None},
    ],
    ids=str,
)
def test_a_manifest_of_no_training(saved, training):
    path, _ = saved
    seal(path, {**read_manifest(path), "training": training})
    refuse(path, r"manifest\.json describes no training")


def test_a_manifest_without_its_training(saved):
    path, _ = saved
    manifest = read_manifest(path)
    del manifest["training"]
    seal(path, manifest)
    refuse(path, r"manifest\.json describes no training")


def test_another_model_is_named(saved):
    path, _ = saved
    refuse(
        path,
        r"'bias_hh_l0' has shape \(16,\), the model's has \(20,\); it was saved from another model",
        build(hidden=5),
    )
    refuse(path, r"'bias_hh_l0' has shape \(16,\), the model's has \(12,\)", build(cell="gru"))
    refuse(path, r"the model has 'peephole_f_l0', the checkpoint lacks it", build(cell="peephole"))
    refuse(path, r"the checkpoint has 'bias_hh_l1', the model lacks it", rnnkit.RNN("lstm", 3, 4))
    refuse(path, r"'bias_hh_l0' has dtype torch\.float32, the model's has torch\.float64", build(dtype=torch.float64))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_weights_that_are_not_finite(tmp_path, value):
    model = build()
    with torch.no_grad():
        model.weight_hh_l1[2, 1] = float(value)
    save_checkpoint(tmp_path / "saved", model.state_dict(), None, {})
    refuse(tmp_path / "saved", "'weight_hh_l1' has elements that are not finite; take an earlier checkpoint")


def test_a_tensor_too_few(saved):
    path, model = saved
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    del tensors["weight_hh_l1"]
    rewrite(path, save(tensors))
    refuse(path, "the model has 'weight_hh_l1', the checkpoint lacks it; it was saved from another model")


def test_a_folder_in_place_of_a_file(saved):
    path, _ = saved
    (path / WEIGHTS).unlink()
    (path / WEIGHTS).mkdir()
    refuse(path, "is not a regular file")


def test_a_file_in_place_of_the_folder(saved):
    path, _ = saved
    shutil.rmtree(path)
    path.write_text("mine")
    refuse(path, r"manifest\.json cannot be read: Not a directory")


@pytest.mark.timeout(5)
@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS, TRAINING])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(saved, name):
    path, _ = saved
    (path / name).unlink()
    os.mkfifo(path / name)
    refuse(path, f"{name} is not a regular file")


def test_the_environment_is_what_bits_depend_on():
    found = environment()
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert found["device"] == "cpu"
    assert set(found) == {"device", "torch", "threads", "instruction_set", "deterministic", "processes"}
    assert json.loads(json.dumps(found)) == found
