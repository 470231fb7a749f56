"""Numbers in, shares of labels out, in operations of torch's, so that an exported model has them inside."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

import rnnkit
from rnnkit_tasks.forecast.scaling import Scale


class Normalised(nn.Module):
    """Brings features to their scale.

    Args:
        scale: of D features.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(scale.mean.copy()))
        self.register_buffer("scale", torch.from_numpy(scale.scale.copy()))

    def forward(self, raw: Tensor) -> Tensor:
        """Map raw features (..., D) to deviations from the mean, float64."""
        return (raw.double() - self.mean) / self.scale


class Shares(nn.Module):
    """Says how likely each label is."""

    def forward(self, outputs: Tensor, raw: Tensor) -> Tensor:
        """Map outputs (..., K) to shares that add up to 1, float64."""
        return outputs.double().softmax(-1)


def units_of(names: Sequence[str], scale: Scale, labels: Sequence[str]) -> rnnkit.Units:
    """Return the units of a run over features with these names, and of these labels."""
    span = torch.from_numpy(np.stack([scale.mean - scale.scale, scale.mean + scale.scale]))
    return rnnkit.Units(Normalised(scale), Shares(), tuple(names), tuple(labels), span)
