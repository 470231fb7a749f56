"""What about a call asks for the plain loop, whatever the step may be."""

from collections.abc import Sequence

import torch
from torch import Tensor

import rnnkit
from rnnkit_compiler.trace.fingerprint import Fingerprint

PLAIN = (Tensor, torch.nn.Parameter, torch.nn.Buffer)


def obstacle(cell: rnnkit.Cell, fingerprint: Fingerprint, xs: Tensor, states: Sequence[Tensor]) -> str:
    """Tell what about the call asks for the loop; empty: nothing."""
    if watcher := rnnkit.watched_by():
        return watcher
    if rnnkit.casts_automatically(xs.device):
        return "autocast is on"
    if xs.is_inference() and torch.is_grad_enabled():
        return "the input was made in inference mode, and may not be saved"
    if not xs.shape[1] or not cell.state_names:
        return "there is nothing to step"
    for tensor in (xs, *states, *fingerprint.tensors):
        if type(tensor) not in PLAIN:
            return f"there is a {type(tensor).__name__} among the tensors"
        if tensor.is_meta:
            return "a tensor is on meta"
        if tensor.layout is not torch.strided:
            return f"a tensor is {tensor.layout}; kernels read dense ones, as to_dense() makes"
    if fingerprint.has_hooks:
        return "a module of the cell has hooks"
    return ""
