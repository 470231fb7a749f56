"""Saved tensors while a cell is tried: hooks of the caller's are to see those of the caller's own call."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def are_hooked() -> bool:
    """Tell whether hooks take what autograd saves just now, as those of a checkpoint do."""
    return torch._C._autograd._top_saved_tensors_default_hooks(True) is not None


def shielded() -> AbstractContextManager[object]:
    """Return what keeps saved tensors from the caller's hooks: those of a checkpoint count what they are shown.

    Without such hooks it does nothing, since TorchScript runs otherwise under any.
    """
    return torch.autograd.graph.saved_tensors_hooks(_itself, _itself) if are_hooked() else nullcontext()


def _itself(tensor: Tensor) -> Tensor:
    return tensor
