"""Languages that ask for counting: as many of one letter, then as many of the next, and so on.

A string is a mark, n times a, n times b and so on; the mark again comes after it. What follows is determined from the
first b on, for who has counted: those steps have targets, the others none.
"""

from collections.abc import Iterator
from types import MappingProxyType

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import Batch
from rnnkit_tasks._ranges import check_ranges, in_parts
from rnnkit_tasks._targets import LEFT_OUT, all_right, cross_entropy

LONGEST = 10_000
MARK = 0


class Counting(rnnkit.Task):
    """Strings of `letters` letters, each n times; a subclass sets `letters`, `input_size` and `output_size`.

    Args:
        train_n: strings of n = 1 to `train_n` train, each as often.
        test_n: those of n = `train_n` + 1 to `test_n` validate, each once.
    """

    letters: int
    metric_name = "strings right"
    higher_is_better = True
    symbols = True
    defaults = MappingProxyType({"steps": 1000, "batch": 32, "lr": 1e-2, "hidden": 16})

    def __init__(self, *, train_n: int = 50, test_n: int = 200) -> None:
        check_ranges(self.name, ("train_n", train_n), ("test_n", test_n), LONGEST)
        self.train_n, self.test_n = train_n, test_n

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` strings: xs (T, B) of 0 mark, 1 a, 2 b, ...; targets (T, B); lengths (B,).

        T = `letters` x `train_n` + 1. The targets of steps without one are -100.
        """
        return self._strings(torch.randint(1, self.train_n + 1, (size,), generator=generator), self.train_n)

    def validation(self) -> Iterator[Batch]:
        """Yield the strings of n = `train_n` + 1 to `test_n`, in one batch."""
        yield self._strings(torch.arange(self.train_n + 1, self.test_n + 1), self.test_n)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats over the targets that are there, from outputs (T, B, K)."""
        return cross_entropy(outputs, targets)

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the share of strings of which every determined symbol is told right."""
        return all_right(outputs, targets)

    def baselines(self) -> dict[str, float]:
        """The shares of a model that ends every string after the same number of letters, and of one of the last few.

        A model of the last k symbols, an n-gram's, is right up to n = k - 1 only, so that none of a moderate order gets
        any string right here.
        """
        return {"one n for all": 1 / (self.test_n - self.train_n), "n-gram": 0.0}

    def further_figures(self, model: nn.Module) -> dict[str, float]:
        """Return the shares among the strings of n that trained, and among short, middling and long ones beyond."""
        trained = self._strings(torch.arange(1, self.train_n + 1), self.train_n)
        (beyond,) = self.validation()
        batches = {range(1, self.train_n + 1): trained} | in_parts(beyond, self._n(beyond))
        return {
            f"{self.metric_name}, n = {part[0]} to {part[-1]}": rnnkit.evaluate(model, self, [strings]).metric
            for part, strings in batches.items()
        }

    def _n(self, batch: Batch) -> Tensor:
        assert batch.lengths is not None
        return (batch.lengths - 1) // self.letters

    def _strings(self, n: Tensor, most: int) -> Batch:
        """Return a string for each n (B,), in steps enough for `most`."""
        steps = self.letters * most + 1
        at = torch.arange(-1, steps).unsqueeze(1)  # letters before this one; -1: the mark at the beginning
        text = (at.div(n, rounding_mode="floor") + 1).where(at < self.letters * n, MARK)
        xs, following = text[:-1], text[1:]
        determined = (at[:-1] >= n) & (at[:-1] < self.letters * n)
        return Batch(xs, following.where(determined, LEFT_OUT), self.letters * n + 1)
