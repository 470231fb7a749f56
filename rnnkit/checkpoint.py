"""Checkpoints: safetensors and a JSON manifest, written atomically, verified before they are used. No pickle."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from rnnkit.errors import CheckpointError, ResourceError

SCHEMA = 1


def save_weights(model: nn.Module, path: Path, about: dict[str, Any]) -> None:
    """Write the weights to `path`.safetensors and what they are to `path`.json, the manifest last.

    Raises:
        ResourceError: the disk or folder takes no more.
    """
    data = save(
        {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in model.state_dict().items()
        }
    )
    manifest = {"schema": SCHEMA, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), **about}
    write_atomically(path.with_suffix(".safetensors"), data)
    write_atomically(path.with_suffix(".json"), json.dumps(manifest, indent=2).encode() + b"\n")


def load_weights(model: nn.Module, path: Path) -> dict[str, Any]:
    """Load what `save_weights` wrote into a model of the same shape; gives the manifest.

    Raises:
        CheckpointError: a file is missing, damaged, of a later schema, or of another model.
    """
    manifest = _manifest(path.with_suffix(".json"))
    tensors = _tensors(path.with_suffix(".safetensors"), manifest)
    expected = model.state_dict()
    for name in sorted(expected.keys() ^ tensors.keys()):
        here, there = ("the model", "the checkpoint") if name in expected else ("the checkpoint", "the model")
        raise CheckpointError(f"{path}: {here} has {name!r}, {there} lacks it; it was saved from another model")
    for name, tensor in sorted(tensors.items()):
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: {name!r} is {tuple(tensor.shape)}, the model's is {tuple(expected[name].shape)}; "
                "it was saved from another model"
            )
    model.load_state_dict(tensors)
    return manifest


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not a readable manifest: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        schema = manifest.get("schema") if isinstance(manifest, dict) else None
        raise CheckpointError(f"{path} has schema {schema!r}; this version of rnnkit reads {SCHEMA}")
    return manifest


def _tensors(path: Path, manifest: dict[str, Any]) -> dict[str, Tensor]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != manifest.get("sha256"):
        raise CheckpointError(f"{path} is not what its manifest describes (sha256 differs); it is damaged")
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}") from None


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, after a power cut too."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ResourceError(f"{path} cannot be written: {error.strerror}") from None


def environment() -> dict[str, Any]:
    """Give what bit-exact repetition depends on."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
