"""How many parameters the model of a run has, as its folder says."""

import json
import math
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import nn

from rnnkit.checkpoints.checkpoint import ENVIRONMENT, WEIGHTS
from rnnkit.checkpoints.checkpoint_store import CHECKPOINTS, CheckpointStore
from rnnkit.errors import CheckpointError
from rnnkit.support.paths import AnyPath, as_path

KEY = "parameters"
"""In env.json."""


def counted(model: nn.Module) -> dict[str, int]:
    """Return what env.json is to say of a model's size."""
    return {KEY: sum(tensor.numel() for tensor in model.parameters())}


def parameter_count(path: AnyPath) -> int | None:
    """Return the number of parameters of the run in a folder, its embedding and its readout among them.

    A run of an earlier rnnkit did not write it down: then the tensors of its newest checkpoint are counted, by their
    shapes alone. None: it is not known, since there is no checkpoint either.
    """
    path = as_path(path)
    try:
        kept = json.loads((path / ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = None
    count = kept.get(KEY) if isinstance(kept, dict) else None
    return int(count) if type(count) is int and count >= 0 else _in_checkpoint(path / CHECKPOINTS)


def _in_checkpoint(folder: Path) -> int | None:
    """Count what is in the newest checkpoint, without reading a tensor."""
    store = CheckpointStore(folder)
    try:
        weights = store.path(store.steps()[-1]) / WEIGHTS
        with safe_open(weights, "numpy") as tensors:
            return sum(int(math.prod(tensors.get_slice(name).get_shape())) for name in tensors.keys())  # noqa: SIM118
    except (CheckpointError, IndexError, OSError, SafetensorError):
        return None
