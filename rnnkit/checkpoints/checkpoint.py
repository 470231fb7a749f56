"""Checkpoints: a folder of safetensors and a JSON manifest, written atomically, verified before use. No pickle.

manifest.json           what the others are: sizes, sha256, the step, settings, environment; its own sha256
model.safetensors       the weights, as `safetensors.torch.load_file` and `load_state_dict` take them
averaged.safetensors    the averaged weights, where there are some
training.safetensors    what training goes on from: optimiser, random states, recurrent state
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, distributed, nn

from rnnkit.errors import CheckpointError, UsageError
from rnnkit.support.atomic_files import read_file, write_folder
from rnnkit.support.nested_tensors import pack, unpack
from rnnkit.support.paths import AnyPath, as_path

SCHEMA = 2
MANIFEST = "manifest.json"
WEIGHTS, AVERAGED, TRAINING = "model.safetensors", "averaged.safetensors", "training.safetensors"
MANIFEST_LIMIT = 2**24
ENVIRONMENT = "env.json"
"""In the folder of a run, what `environment` returns and more."""


class Checkpoint(NamedTuple):
    """What was loaded, every file as its manifest says."""

    path: Path
    manifest: dict[str, Any]
    weights: dict[str, Tensor]
    averaged: dict[str, Tensor] | None
    training: Any
    """Nested values as they were saved; tensors are on the CPU."""


def save_checkpoint(
    path: AnyPath,
    weights: Mapping[str, Tensor],
    training: Any,
    about: Mapping[str, Any],
    averaged: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a new folder `path`.

    Args:
        path: it must not exist, its parent must.
        weights: a model's state dict.
        training: nested lists, tuples, dicts, numbers, texts and tensors.
        about: more for the manifest, as JSON has it.
        averaged: a state dict with averaged weights.

    Raises:
        ResourceError: the disk or folder takes no more.
        UsageError: numbers and texts take more room than a manifest may have.
    """
    path = as_path(path)
    plain, tensors = pack(training)
    files = {WEIGHTS: _data(weights), TRAINING: _data(tensors)}
    if averaged is not None:
        files[AVERAGED] = _data(averaged)
    listed = {name: {"sha256": _sha256(data), "bytes": len(data)} for name, data in files.items()}
    manifest = {"schema": SCHEMA, **about, "files": listed, "training": plain}
    manifest["sha256"] = _sha256(_canonical(manifest))
    data = json.dumps(manifest, indent=1, allow_nan=False).encode() + b"\n"
    if len(data) > MANIFEST_LIMIT:
        raise UsageError(
            f"{path}: lists and numbers of the state take {len(data):,} bytes, more than {MANIFEST_LIMIT:,}; keep long "
            "lists as tensors"
        )
    write_folder(path, {**files, MANIFEST: data})


def load_checkpoint(path: AnyPath) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Raises:
        CheckpointError: a file is missing, damaged, or of another version.
    """
    path = as_path(path)
    manifest = read_manifest(path)
    tensors = {name: _tensors(path / name, manifest) for name in manifest["files"]}
    try:
        training = unpack(manifest["training"], tensors[TRAINING])
    except (KeyError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise CheckpointError(f"{path / MANIFEST} describes no training: {error!r}") from None
    return Checkpoint(path, manifest, tensors[WEIGHTS], tensors.get(AVERAGED), training)


def read_manifest(path: AnyPath) -> dict[str, Any]:
    """Read and verify the manifest alone.

    Raises:
        CheckpointError: it is missing, damaged, or of another version.
    """
    path = as_path(path)
    file = path / MANIFEST
    try:
        manifest = json.loads(
            read_file(file, MANIFEST_LIMIT),
            object_pairs_hook=_without_duplicates,
            parse_float=_finite,
            parse_constant=_finite,
        )
        genuine = isinstance(manifest, dict) and manifest.pop("sha256", None) == _sha256(_canonical(manifest))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is not a readable manifest: {error}") from None
    if not isinstance(manifest, dict):
        raise CheckpointError(f"{file} is not a manifest: it holds a {type(manifest).__name__}")
    if manifest.get("schema") != SCHEMA:
        raise CheckpointError(
            f"{file} has schema {manifest.get('schema')!r}; this version of rnnkit reads {SCHEMA}; "
            "take the version that wrote it"
        )
    if not genuine:
        raise CheckpointError(f"{file} is not what was written (sha256 differs); it is damaged")
    files = manifest.get("files")
    if not isinstance(files, dict) or not {WEIGHTS, TRAINING} <= files.keys() <= {WEIGHTS, TRAINING, AVERAGED}:
        raise CheckpointError(f"{file} does not list the files of a checkpoint")
    return manifest


def restore(module: nn.Module, weights: Mapping[str, Tensor], path: AnyPath, *, finite: bool = True) -> None:
    """Load weights that were saved from a module of the same make.

    Raises:
        CheckpointError: a tensor is missing, is one too many, is of another shape or dtype, or is not finite where it
            must be.
    """
    path = as_path(path)
    expected = module.state_dict()
    for name in sorted(expected.keys() ^ weights.keys()):
        here, there = ("the model", "the checkpoint") if name in expected else ("the checkpoint", "the model")
        raise CheckpointError(f"{path}: {here} has {name!r}, {there} lacks it; it was saved from another model")
    for name, tensor in sorted(weights.items()):
        for what, given, wanted in (
            ("shape", tuple(tensor.shape), tuple(expected[name].shape)),
            ("dtype", tensor.dtype, expected[name].dtype),
        ):
            if given != wanted:
                raise CheckpointError(
                    f"{path}: {name!r} has {what} {given}, the model's has {wanted}; it was saved from another model"
                )
        if finite and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{path}: {name!r} has elements that are not finite; take an earlier checkpoint")
    module.load_state_dict(dict(weights))


def environment(device: str = "cpu") -> dict[str, Any]:
    """Return what bit-exact repetition depends on."""
    return {
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "torch": torch.__version__,
        "processes": distributed.get_world_size() if distributed.is_initialized() else 1,
        "threads": torch.get_num_threads(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def _data(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the tensors as a safetensors file; each is copied, so that ones which share memory are taken too."""
    return save(
        {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in sorted(tensors.items())
        }
    )


def _tensors(path: Path, manifest: dict[str, Any]) -> dict[str, Tensor]:
    listed = manifest["files"][path.name]
    if not isinstance(listed, dict) or type(listed.get("bytes")) is not int:
        raise CheckpointError(f"{path.parent / MANIFEST} does not say how large {path.name} is")
    data = read_file(path, listed["bytes"])
    if _sha256(data) != listed.get("sha256"):
        raise CheckpointError(f"{path} is not what its manifest describes (sha256 differs); it is damaged")
    try:
        tensors = load(data)
        # Of a name that comes twice, one reader takes the first and another the last.
        json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")], object_pairs_hook=_without_duplicates)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}") from None
    return tensors


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _canonical(manifest: dict[str, Any]) -> bytes:
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key comes twice")
    return table


def _finite(word: str) -> float:
    if not math.isfinite(value := float(word)):
        raise ValueError(f"{word} is not a finite number")
    return value
