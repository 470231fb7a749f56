"""Firing: a spike is given, and the network is to spike itself exactly `interval` steps later.

Spikes are given `interval` + 1 steps apart, the first in the first step. The network is to answer 1 in the last step
before the next one, `interval` steps after the one before, and 0 in all other steps: to fire at step 49, neither at 48
nor at 50. With so many `spikes` there is one sequence in all: it trains and validates, nothing is held out, and what is
asked is whether it can be learnt.

Metric: the squared error as a share of what silence has. A constant has 1 - 1 / (`interval` + 1) at best.

Between two answers the output of a network of one unit is nothing, so that its gates cannot see how far its cell has
counted, unless they look at the cell itself. That is what peepholes are for. With several units one may count in sight
of the gates of another.

Source: the generation of timed spikes in Gers, Schraudolph & Schmidhuber, "Learning Precise Timing with LSTM Recurrent
Networks", JMLR 3, 2002.

What differs: in the paper no spikes are given, and the network keeps its own time.
"""

from collections.abc import Iterator
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import Batch
from rnnkit.errors import UsageError, check_whole

LONGEST = 10_000
"""Interval."""

MOST = 1000
"""Spikes in a sequence."""


class Firing(rnnkit.Task):
    """Fire `interval` steps after each spike that is given, and at no other step.

    Args:
        interval: steps from a spike that is given to the answer.
        spikes: how many are given.
    """

    name = "firing"
    metric_name = "error"
    random = False
    input_size = 1
    output_size = 1
    defaults = MappingProxyType({"steps": 12_000, "batch": 1, "lr": 1e-2, "hidden": 1})

    def __init__(self, *, interval: int = 49, spikes: int = 1) -> None:
        for option, (count, most) in {"interval": (interval, LONGEST), "spikes": (spikes, MOST)}.items():
            check_whole(f"task 'firing': {option}", count)
            if count > most:
                raise UsageError(f"task 'firing': {option} is {count}; it must be {most} or less")
        self.interval, self.spikes = interval, spikes

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Return the sequence `size` times: xs and targets (T, B, 1) of 0 and 1; T = `spikes` x (`interval` + 1)."""
        step = torch.arange(self.spikes * (self.interval + 1)) % (self.interval + 1)
        given, asked = (
            (step == at).to(torch.get_default_dtype()).expand(size, -1).t().unsqueeze(-1).contiguous()
            for at in (0, self.interval)
        )
        return Batch(given, asked)

    def validation(self) -> Iterator[Batch]:
        """Yield the sequence."""
        yield self.batch(1, torch.Generator())

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error over all steps, from outputs (T, B, 1)."""
        return F.mse_loss(outputs, targets.to(outputs))

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the squared error as a share of what silence has."""
        return self.loss(outputs, targets) / targets.to(outputs).square().mean()

    def baselines(self) -> dict[str, float]:
        """The error of silence, and of the best constant."""
        return {"silence": 1.0, "constant": 1 - 1 / (self.interval + 1)}


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer the firing of timed spikes."""
    return [Firing]
