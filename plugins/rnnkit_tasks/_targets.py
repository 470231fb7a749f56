"""Targets that are there for some steps only: how the others are marked, and means over those that are there."""

import torch
from torch import Tensor
from torch.nn import functional as F

LEFT_OUT = -100
"""Stands for the target of a step that has none, among targets that are classes."""


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy in nats of outputs (T, B, K) over the targets (T, B) there are; 0 for none."""
    total = F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), ignore_index=LEFT_OUT, reduction="sum")
    return total / (targets != LEFT_OUT).sum().clamp(min=1)


def share(right: Tensor, judged: Tensor) -> Tensor:
    """Return the share of those `judged` that are `right`, both bool and of one shape; 0 if none is judged."""
    return (right & judged).sum().double() / judged.sum().clamp(min=1)


def all_right(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of rows in which outputs (T, B, K) hit every target (T, B) that is there."""
    return ((outputs.argmax(-1) == targets) | (targets == LEFT_OUT)).all(0).double().mean()


def held_out_generator() -> torch.Generator:
    """Return the generator of validation batches, the same at every call and of no run's seed."""
    return torch.Generator().manual_seed(2**31 - 1)
