"""What a model says after windows of a table, always in batches of one size."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnkit_tasks.forecast.windows import Windows

TOGETHER = 256
"""Windows of a batch. All have as many, so that the bits of a forecast do not depend on how many there are."""


def outputs(model: nn.Module, windows: Windows, ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what a model says after each window that ends in rows `ends` (M,): (M, outputs), normalised."""
    where = next(model.parameters()).device
    size = TOGETHER if len(ends) > 1 else 1
    padded = torch.from_numpy(np.pad(ends, (0, -len(ends) % size), mode="edge"))
    with torch.no_grad():
        said: list[Tensor] = [model(windows.ending(rows).to(where))[0][-1].cpu() for rows in torch.split(padded, size)]
    return torch.cat(said)[: len(ends)].double().numpy()
