"""Dyck: brackets of several kinds that are closed in the order in which a stack gives them back.

A string is well-bracketed, with brackets of `kinds` kinds nested at most `depth` deep. It is read a symbol at a time
after a mark, and the next symbol is to be told; the mark comes again after the end. Strings of up to `train_len`
brackets, as many of each even length, train; longer ones of up to `test_len` validate. Brackets open or close with
even odds wherever both are allowed, and the kind of an opening one is any with even odds.

Metric: closing accuracy. At each step at which a bracket closes, the likeliest kind among closing brackets, so that it
is judged whether the kind is remembered, and not what cannot be known, whether a bracket opens or closes. Further
figures: by the depth at which the bracket was opened; at the greatest one brackets close at once.

Source: Chomsky & Schützenberger, "The Algebraic Theory of Context-Free Languages", 1963; bounded in depth, for
recurrent networks, Hewitt, Hahn, Ganguli, Liang & Manning, "RNNs can Generate Bounded Hierarchical Languages with
Optimal Memory", EMNLP 2020, whose measure is near to this one.
"""

from collections.abc import Iterator
from types import MappingProxyType

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import Batch
from rnnkit.errors import UsageError, check_whole
from rnnkit_tasks._brackets import MARK, bracket_strings, depths, just_opened
from rnnkit_tasks._ranges import check_ranges
from rnnkit_tasks._targets import LEFT_OUT, cross_entropy, held_out_generator, share

LONGEST = 10_000
MOST_KINDS = 1000
ROWS = 300
"""Strings of the validation."""


class Dyck(rnnkit.Task):
    """Brackets of `kinds` kinds, at most `depth` deep; longer strings validate than train.

    Args:
        kinds: of brackets.
        depth: how many brackets are open at most.
        train_len: brackets of the longest string that trains.
        test_len: brackets of the longest string that validates.
    """

    name = "dyck"
    metric_name = "closing accuracy"
    higher_is_better = True
    symbols = True
    defaults = MappingProxyType({"steps": 1000, "batch": 32, "lr": 1e-2, "hidden": 32})

    def __init__(self, *, kinds: int = 2, depth: int = 5, train_len: int = 40, test_len: int = 100) -> None:
        check_whole("task 'dyck': kinds", kinds, least=2)
        check_whole("task 'dyck': depth", depth)
        if kinds > MOST_KINDS:
            raise UsageError(f"task 'dyck': kinds is {kinds}; it must be {MOST_KINDS} or less")
        check_ranges("dyck", ("train_len", train_len), ("test_len", test_len), LONGEST, least=2)
        for option, length in (("train_len", train_len), ("test_len", test_len)):
            if length % 2:
                raise UsageError(f"task 'dyck': {option} is {length}; it must be even, for brackets come in pairs")
        self.kinds, self.depth, self.train_len, self.test_len = kinds, depth, train_len, test_len
        self.input_size = self.output_size = 2 * kinds + 1

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` strings: xs (T, B) of 0 mark, 1 to K opening, K + 1 to 2 K closing; targets (T, B); lengths (B,).

        T = `train_len` + 1, K = `kinds`. The targets past a string's end are -100.
        """
        pairs = torch.randint(1, self.train_len // 2 + 1, (size,), generator=generator)
        return self._strings(2 * pairs, self.train_len, generator)

    def validation(self) -> Iterator[Batch]:
        """Yield 300 strings of more than `train_len` brackets, in one batch."""
        generator = held_out_generator()
        pairs = torch.randint(self.train_len // 2 + 1, self.test_len // 2 + 1, (ROWS,), generator=generator)
        yield self._strings(2 * pairs, self.test_len, generator)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats of the next symbol, from outputs (T, B, 2 K + 1)."""
        return cross_entropy(outputs, targets)

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the share of closing brackets whose kind is the likeliest of all closing ones."""
        kinds = outputs[..., self.kinds + 1 :].argmax(-1)
        return share(kinds == targets - self.kinds - 1, targets > self.kinds)

    def baselines(self) -> dict[str, float]:
        """The accuracies of chance, and of closing whatever bracket was opened last, closed since or not."""
        (batch,) = self.validation()
        closing = batch.targets > self.kinds
        last = just_opened(batch.xs, self.kinds) + self.kinds
        return {"chance": 1 / self.kinds, "the last opened": float(share(last == batch.targets, closing))}

    def further_figures(self, model: nn.Module) -> dict[str, float]:
        """Return the closing accuracy by the depth of the bracket that closes."""
        (batch,) = self.validation()
        at = depths(batch.xs, self.kinds)
        figures = {}
        for depth in range(1, min(self.depth, int(at.max())) + 1):
            closing = batch.targets.where((batch.targets > self.kinds) & (at == depth), LEFT_OUT)
            name = f"{self.metric_name}, depth {depth}"
            figures[name] = rnnkit.evaluate(model, self, [batch._replace(targets=closing)]).metric
        return figures

    def _strings(self, lengths: Tensor, steps: int, generator: torch.Generator) -> Batch:
        """Draw a string of each length (B,) and put it between marks."""
        brackets = bracket_strings(lengths, steps, self.kinds, self.depth, generator)
        mark = torch.full((1, len(lengths)), MARK)
        left = lengths - torch.arange(steps + 1).unsqueeze(1)
        return Batch(torch.cat([mark, brackets]), torch.cat([brackets, mark]).where(left >= 0, LEFT_OUT), lengths + 1)


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer the brackets."""
    return [Dyck]
