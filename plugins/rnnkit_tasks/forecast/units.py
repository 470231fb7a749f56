"""The units of a table in operations of torch's, so that an exported model has them inside."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import rnnkit
from rnnkit_tasks.forecast.scaling import Scale


class PerColumn(nn.Module):
    """A mean and a scale for each column.

    Args:
        mean: (C,) in float64.
        scale: (C,) in float64.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean.copy()))
        self.register_buffer("scale", torch.from_numpy(scale.copy()))


class Normalised(PerColumn):
    """Brings columns to their scale, as `Scale.apply` does."""

    def forward(self, values: Tensor) -> Tensor:
        """Map (..., C) in the table's units to (..., C) in deviations from the mean, float64."""
        return (values.double() - self.mean) / self.scale


class InUnits(PerColumn):
    """Brings what a model says into the table's units."""

    def forward(self, outputs: Tensor) -> Tensor:
        """Map (..., C) in deviations from the mean to (..., C) in the table's units, float64."""
        return outputs.double() * self.scale + self.mean


def units_of(columns: Sequence[str], inputs: Scale, targets: Sequence[str], outputs: Scale) -> rnnkit.Units:
    """Return the units of a model that reads `columns` by one scale and forecasts `targets` by another."""
    return rnnkit.Units(
        inputs=Normalised(*inputs),
        outputs=InUnits(*outputs),
        columns=tuple(columns),
        targets=tuple(targets),
        span=torch.from_numpy(np.stack([inputs.mean - inputs.scale, inputs.mean + inputs.scale])),
    )
