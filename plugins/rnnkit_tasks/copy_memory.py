"""The copy problem: keep ten symbols over a long gap, then say them.

Ten symbols of 8 come first, then T - 1 blanks, a delimiter, and 10 more blanks; the network must give blanks until
the delimiter and then the ten symbols in order. T + 20 steps in all, T = `seq_len`.

Metric: mean cross-entropy in nats. Knowing when but not what gives 10 ln 8 / (T + 20).

Source: Hochreiter & Schmidhuber 1997; in this form Arjovsky, Shah & Bengio, "Unitary Evolution Recurrent Neural
Networks", ICML 2016.
"""

import math
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import Batch
from rnnkit.errors import check_whole

KINDS = 8
SYMBOLS = 10
BLANK = 0
DELIMITER = KINDS + 1


class Copy(rnnkit.Task):
    """Ten symbols repeated after a gap of `seq_len` steps.

    Args:
        seq_len: steps of the gap.
    """

    name = "copy"
    metric_name = "nats"
    symbols = True
    input_size = KINDS + 2
    output_size = KINDS + 1
    defaults = MappingProxyType({"steps": 1000, "batch": 64, "lr": 1e-3, "hidden": 128})

    def __init__(self, *, seq_len: int = 100) -> None:
        check_whole("task 'copy': seq_len", seq_len)
        self.seq_len = seq_len

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` sequences: xs (T + 20, B) of 0 blank, 1 to 8, 9 delimiter; targets (T + 20, B)."""
        steps = self.seq_len + 2 * SYMBOLS
        symbols = torch.randint(1, KINDS + 1, (SYMBOLS, size), generator=generator)
        xs = torch.full((steps, size), BLANK)
        xs[:SYMBOLS] = symbols
        xs[-SYMBOLS - 1] = DELIMITER
        targets = torch.full((steps, size), BLANK)
        targets[-SYMBOLS:] = symbols
        return Batch(xs, targets)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats, from outputs (T + 20, B, 9)."""
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy, as the loss."""
        return self.metric_by_loss(self.loss(outputs, targets))

    def metric_by_loss(self, loss: Tensor) -> Tensor:
        """Return the loss."""
        return loss

    def baselines(self) -> dict[str, float]:
        """The cross-entropy of knowing when to speak, but not what."""
        return {"chance": SYMBOLS * math.log(KINDS) / (self.seq_len + 2 * SYMBOLS)}


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer the copy problem."""
    return [Copy]
