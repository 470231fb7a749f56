"""What a model says after windows of a series, always in batches of one size."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

TOGETHER = 256
"""Windows of a batch. All have as many, so that the bits of a forecast do not depend on how many there are."""


def outputs(model: nn.Module, series: NDArray[np.float64], ends: NDArray[np.int64], window: int) -> NDArray[np.float64]:
    """Return what a model says after each window of `window` rows that ends in rows `ends` (M,): (M, K), normalised."""
    where = next(model.parameters()).device
    inputs = torch.from_numpy(series).to(torch.get_default_dtype())
    offsets = torch.arange(1 - window, 1).unsqueeze(1)
    size = TOGETHER if len(ends) > 1 else 1
    padded = torch.from_numpy(np.pad(ends, (0, -len(ends) % size), mode="edge"))
    with torch.no_grad():
        said: list[Tensor] = [
            model(inputs[rows + offsets].to(where))[0][-1].cpu() for rows in torch.split(padded, size)
        ]
    return torch.cat(said)[: len(ends)].double().numpy()
