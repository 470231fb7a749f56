"""Parity: whether a string of bits has had an odd number of ones so far.

Strings of 1 to `train_len` bits, as many of each length, train; ones of `train_len` + 1 to `test_len` bits, ten of each
length, validate. With `answers` "running" there is a target after every bit; with "final" only after the last, which is
much harder to learn.

Metric: accuracy, the share of strings whose parity is told right after their last bit. Chance, and the best that any
model can do that has missed a single bit, is 0.5.

Source: Minsky & Papert, "Perceptrons", MIT Press, 1969; as a sequence for recurrent networks, Hochreiter & Schmidhuber,
"LSTM can Solve Hard Long Time Lag Problems", NIPS 9, 1996.
"""

from collections.abc import Iterator
from types import MappingProxyType

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import Batch
from rnnkit.errors import UsageError
from rnnkit_tasks._ranges import check_ranges, in_parts
from rnnkit_tasks._targets import LEFT_OUT, cross_entropy, held_out_generator

LONGEST = 10_000
ROWS = 10
"""Strings of each length in the validation."""


class Parity(rnnkit.Task):
    """Whether a string of bits has an odd number of ones; longer strings validate than train.

    Args:
        answers: running, one after each bit, or final, after the last one alone.
        train_len: bits of the longest string that trains.
        test_len: bits of the longest string that validates.
    """

    name = "parity"
    metric_name = "accuracy"
    higher_is_better = True
    input_size = 1
    output_size = 2
    defaults = MappingProxyType({"steps": 1500, "batch": 32, "lr": 3e-3, "hidden": 32})

    def __init__(self, *, answers: str = "running", train_len: int = 40, test_len: int = 100) -> None:
        if answers not in ("running", "final"):
            raise UsageError(f"task 'parity': answers is {answers!r}; it must be running or final")
        check_ranges("parity", ("train_len", train_len), ("test_len", test_len), LONGEST)
        self.answers, self.train_len, self.test_len = answers, train_len, test_len

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` strings: xs (T, B, 1) of bits, targets (T, B), lengths (B,); T = `train_len`.

        The targets of steps without one are -100.
        """
        lengths = torch.randint(1, self.train_len + 1, (size,), generator=generator)
        return self._strings(lengths, self.train_len, generator)

    def validation(self) -> Iterator[Batch]:
        """Yield ten strings of each length above `train_len`, in one batch."""
        lengths = torch.arange(self.train_len + 1, self.test_len + 1).repeat_interleave(ROWS)
        yield self._strings(lengths, self.test_len, held_out_generator())

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats over the targets that are there, from outputs (T, B, 2)."""
        return cross_entropy(outputs, targets)

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the share of rows whose last target is told right."""
        steps = torch.arange(len(targets), device=targets.device).unsqueeze(1)
        last = torch.where(targets != LEFT_OUT, steps, 0).amax(0, keepdim=True)
        right = (outputs.argmax(-1) == targets).gather(0, last)
        return right.double().mean()

    def baselines(self) -> dict[str, float]:
        """The accuracy of chance."""
        return {"chance": 0.5}

    def further_figures(self, model: nn.Module) -> dict[str, float]:
        """Return the accuracy on short, middling and long strings of the validation."""
        (batch,) = self.validation()
        assert batch.lengths is not None
        return {
            f"accuracy, {part[0]} to {part[-1]} bits": rnnkit.evaluate(model, self, [strings]).metric
            for part, strings in in_parts(batch, batch.lengths).items()
        }

    def _strings(self, lengths: Tensor, steps: int, generator: torch.Generator) -> Batch:
        """Draw a string of each length (B,), in `steps` steps T."""
        bits = torch.randint(2, (steps, len(lengths)), generator=generator)
        left = lengths - 1 - torch.arange(steps).unsqueeze(1)  # bits that follow, below 0 past the end
        bits = bits.where(left >= 0, 0)
        answered = left == 0 if self.answers == "final" else left >= 0
        targets = (bits.cumsum(0) % 2).where(answered, LEFT_OUT)
        return Batch(bits.to(torch.get_default_dtype()).unsqueeze(-1), targets, lengths)


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer parity."""
    return [Parity]
