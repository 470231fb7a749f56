"""The adding problem: the sum of two marked numbers, far apart.

Each step gives a number from U[0, 1] and a mark; two steps are marked, one in each half. Target: the sum of the two
marked numbers, after the last step. Metric: mean squared error. Predicting 1 always gives the variance of the sum,
2/12 = 0.1667.

Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997, experiment 4; in this form
Le, Jaitly & Hinton, arXiv 1504.00941, 2015.
"""

from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import Batch
from rnnkit.errors import check_whole


class Adding(rnnkit.Task):
    """The sum of two marked numbers among `seq_len`.

    Args:
        seq_len: steps of a sequence.
    """

    name = "adding"
    metric_name = "MSE"
    every_step = False
    input_size = 2
    output_size = 1
    defaults = MappingProxyType({"steps": 3000, "batch": 32, "lr": 1e-2, "hidden": 64})

    def __init__(self, *, seq_len: int = 100) -> None:
        check_whole("task 'adding': seq_len", seq_len, least=2)
        self.seq_len = seq_len

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` sequences: xs (T, B, 2) of number and mark, targets (B, 1)."""
        numbers = torch.rand(self.seq_len, size, generator=generator)
        half = self.seq_len // 2
        first = torch.randint(half, (size,), generator=generator)
        second = torch.randint(half, self.seq_len, (size,), generator=generator)
        rows = torch.arange(size)
        marks = torch.zeros(self.seq_len, size)
        marks[first, rows] = marks[second, rows] = 1
        targets = numbers[first, rows] + numbers[second, rows]
        return Batch(torch.stack([numbers, marks], dim=-1), targets.unsqueeze(-1))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error of the last output (B, 1)."""
        return F.mse_loss(outputs, targets.to(outputs))

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error, as the loss."""
        return self.metric_by_loss(self.loss(outputs, targets))

    def metric_by_loss(self, loss: Tensor) -> Tensor:
        """Return the loss."""
        return loss

    def baselines(self) -> dict[str, float]:
        """The error of predicting 1, the mean."""
        return {"predicting 1": 1 / 6}


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer the adding problem."""
    return [Adding]
