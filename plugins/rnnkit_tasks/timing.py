"""Timing: which of two intervals, one step apart, lies between a spike and the one before.

All is silence but for spikes, the first in the first step, each `interval` or `interval` + 1 steps after the one before
with even odds. At each spike but the first the network tells in the same step which interval has ended; nothing is
asked at other steps. Trains of `train_intervals` train, those of `test_intervals`, by default longer ones, validate.

Metric: accuracy, the share of intervals told right. Chance is 0.5, and it is what all have that do not measure time to
the step: intervals do not depend on each other. Of one interval there are two trains in all; then nothing is held out,
and what is asked is whether they can be told apart.

Source: the measuring of spike delays in Gers, Schraudolph & Schmidhuber, "Learning Precise Timing with LSTM Recurrent
Networks", JMLR 3, 2002, whose peepholes let the gates see how far a cell has counted.

What differs: in the paper the target is a number, and the mean squared error of it is what is learnt.
"""

from collections.abc import Iterator
from types import MappingProxyType

import torch
from torch import Tensor

import rnnkit
from rnnkit import Batch
from rnnkit.errors import UsageError, check_whole
from rnnkit_tasks._targets import LEFT_OUT, cross_entropy, held_out_generator, share

LONGEST = 10_000
"""Interval."""

MOST = 1000
"""Intervals in a train."""

ROWS = 100
"""Trains of the validation."""


class Timing(rnnkit.Task):
    """Whether spikes are `interval` steps apart, or one more; longer trains of spikes validate.

    Args:
        interval: steps of the shorter interval.
        train_intervals: how many intervals a train of spikes has that trains.
        test_intervals: how many one has that validates.
    """

    name = "timing"
    metric_name = "accuracy"
    higher_is_better = True
    input_size = 1
    output_size = 2
    defaults = MappingProxyType({"steps": 2000, "batch": 64, "lr": 3e-3, "hidden": 32})

    def __init__(self, *, interval: int = 49, train_intervals: int = 3, test_intervals: int = 8) -> None:
        counts = {"train_intervals": (train_intervals, MOST), "test_intervals": (test_intervals, MOST)}
        for option, (count, most) in {"interval": (interval, LONGEST), **counts}.items():
            check_whole(f"task 'timing': {option}", count)
            if count > most:
                raise UsageError(f"task 'timing': {option} is {count}; it must be {most} or less")
        self.interval, self.train_intervals, self.test_intervals = interval, train_intervals, test_intervals

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` trains: xs (T, B, 1) of 0 and 1; targets (T, B), at a spike 1 if the longer interval has ended.

        T = `train_intervals` x (`interval` + 1) + 1. The targets of other steps are -100.
        """
        return self._trains(self.train_intervals, size, generator)

    def validation(self) -> Iterator[Batch]:
        """Yield 100 trains of `test_intervals`, in one batch."""
        yield self._trains(self.test_intervals, ROWS, held_out_generator())

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats over the spikes, from outputs (T, B, 2)."""
        return cross_entropy(outputs, targets)

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the share of intervals told right."""
        return share(outputs.argmax(-1) == targets, targets != LEFT_OUT)

    def baselines(self) -> dict[str, float]:
        """The accuracy of chance."""
        return {"chance": 0.5}

    def _trains(self, intervals: int, size: int, generator: torch.Generator) -> Batch:
        """Draw trains of so many intervals."""
        longer = torch.randint(2, (intervals, size), generator=generator)
        spikes = (self.interval + longer).cumsum(0)  # the steps of all but the first
        steps = intervals * (self.interval + 1) + 1
        targets = torch.full((steps, size), LEFT_OUT).scatter(0, spikes, longer)
        xs = (targets != LEFT_OUT).to(torch.get_default_dtype())
        xs[0] = 1
        return Batch(xs.unsqueeze(-1), targets)


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer the timing of spikes."""
    return [Timing]
