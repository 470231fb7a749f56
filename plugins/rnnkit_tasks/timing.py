"""Timing: whether two spikes are `interval` steps apart, or one more.

All is silence but for two spikes; after the second the network tells, in the same step, which of the two intervals lay
between them, each with even odds. While training, fewer than `wait` silent steps come before the first spike; in the
validation `wait` to 2 `wait` - 1, each with both intervals once, so that no sequence of the validation is one that
trained.

Metric: accuracy. Chance is 0.5, and it is what all have that do not measure time to the step.

Source: after the measuring of spike delays in Gers, Schraudolph & Schmidhuber, "Learning Precise Timing with LSTM
Recurrent Networks", JMLR 3, 2002, whose peepholes let the gates see how far a cell has counted.

What differs: in the paper spikes go on, each at either interval after the one before, and the target is a number.
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


class Timing(rnnkit.Task):
    """Two spikes, `interval` or `interval` + 1 steps apart: which?"""

    name = "timing"
    metric_name = "accuracy"
    higher_is_better = True
    every_step = False
    input_size = 1
    output_size = 2
    defaults = MappingProxyType({"steps": 2000, "batch": 64, "lr": 3e-3, "hidden": 32})

    def __init__(self, *, interval: int = 49, wait: int = 10) -> None:
        for option, steps in (("interval", interval), ("wait", wait)):
            check_whole(f"task 'timing': {option}", steps)
            if steps > LONGEST:
                raise UsageError(f"task 'timing': {option} is {steps}; it must be {LONGEST} or less")
        self.interval, self.wait = interval, wait

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` sequences: xs (T, B, 1) of 0 and 1, targets (B,), 1 for the longer interval; lengths (B,).

        T = `wait` + `interval` + 1.
        """
        first = torch.randint(self.wait, (size,), generator=generator)
        return self._spikes(first, torch.randint(2, (size,), generator=generator))

    def validation(self) -> Iterator[Batch]:
        """Yield both intervals after each wait that is too long to have trained, in one batch."""
        first = torch.arange(self.wait, 2 * self.wait).repeat(2)
        yield self._spikes(first, torch.arange(2).repeat_interleave(self.wait))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats of the last output (B, 2)."""
        return F.cross_entropy(outputs, targets)

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the share of intervals told right."""
        return (outputs.argmax(-1) == targets).double().mean()

    def baselines(self) -> dict[str, float]:
        """The accuracy of chance."""
        return {"chance": 0.5}

    def _spikes(self, first: Tensor, longer: Tensor) -> Batch:
        """Return rows with a spike at step `first` (B,) and another `interval` + `longer` (B,) later."""
        second = first + self.interval + longer
        waits = self.wait if int(first.max()) < self.wait else 2 * self.wait
        steps = torch.arange(waits + self.interval + 1).unsqueeze(1)
        spikes = (steps == first) | (steps == second)
        return Batch(spikes.to(torch.get_default_dtype()).unsqueeze(-1), longer, second + 1)


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer the timing of spikes."""
    return [Timing]
