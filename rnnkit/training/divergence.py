"""Faults: losses and gradients that are not finite, and the first tensor to blame."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rnnkit.errors import DivergedError

REMEDY = "lower the learning rate or clip"


def check_loss(what: str, loss: Tensor | float, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Raise DivergedError unless a loss is finite, naming the first weight or tensor that is not."""
    value = float(loss)
    if not math.isfinite(value):
        named = {**dict(model.named_parameters()), **tensors}
        raise DivergedError(f"{what} is {value}; {_fault(named)}; {REMEDY}")


def check_gradients(what: str, norm: float, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Raise DivergedError unless the gradients' norm is finite, naming the first tensor or gradient that is not."""
    if not math.isfinite(norm):
        named = dict(tensors)
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                named[f"the gradient of {name}"] = parameter.grad
        raise DivergedError(f"{what} is {norm}; {_fault(named)}; {REMEDY}")


def _fault(named: Mapping[str, Tensor]) -> str:
    """Name the first tensor that is not finite and its first such element; else the largest, which overflowed."""
    real = [(name, t.detach()) for name, t in named.items() if t.is_floating_point() and t.numel()]
    for name, tensor in real:
        bad = (~torch.isfinite(tensor)).nonzero()
        if len(bad):
            index = bad[0].tolist()
            return f"the first tensor at fault is {name} {index} = {tensor[tuple(index)].item()}"
    name, tensor = max(real, key=lambda pair: float(pair[1].abs().max()))
    return f"all is finite, but {name} reaches {float(tensor.abs().max()):.1e}"
