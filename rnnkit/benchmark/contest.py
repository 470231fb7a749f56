"""The contest: a cell and unroller against each rival, size by size."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import nn

from rnnkit.benchmark.contestants import flops, ours, rival
from rnnkit.benchmark.machine import peak_memory, product_peak
from rnnkit.benchmark.sizes import Size
from rnnkit.benchmark.timing import Ratio, geometric_mean, interleaved, ratio
from rnnkit.choice import CellLike, choose
from rnnkit.errors import UsageError, check_whole
from rnnkit.unroll import Unroller

PAIRS = 30


@dataclass(frozen=True)
class Outcome:
    """One size: what a pass of ours takes, and how many times as long each rival's takes."""

    cell: str
    unroller: str
    size: Size
    training: bool
    pairs: int
    seconds: float
    """Median of a pass: forward, and if training backward with all gradients."""

    share: float
    """Of the machine's measured product peak, matrix products alone counted."""

    bytes: int | None
    """Resident memory at the peak of a pass; None where it cannot be measured."""

    rivals: dict[str, Ratio]
    """How many times as long a rival takes; above one, ours is the faster."""

    rival_bytes: dict[str, int | None]
    """The same memory of each rival."""

    def as_plain(self) -> dict[str, Any]:
        """Give plain values, for JSON."""
        return {**asdict(self), "size": str(self.size), "rivals": {k: r._asdict() for k, r in self.rivals.items()}}


def contest(
    cell: CellLike,
    unroller: str | Unroller,
    sizes: Sequence[Size],
    against: Sequence[str],
    *,
    training: bool = True,
    pairs: int = PAIRS,
    dtype: torch.dtype = torch.float32,
) -> Iterator[Outcome]:
    """Time a cell against each rival, one size after the other, interleaved; see `Outcome`.

    Args:
        cell: as in `rnnkit.RNN`.
        unroller: a registered name, or an instance.
        sizes: what is measured, in this order.
        against: names of `RIVALS`.
        training: forward and backward with all gradients; otherwise forward without any.
        pairs: rounds that are timed, after two that are not.
        dtype: of weights and input.

    Raises:
        UsageError: a rival that there is not.
    """
    check_whole("pairs", pairs)
    choice = choose(cell)
    named = dict(rival(name, cell) for name in against)
    if len(named) < len(against):
        raise UsageError("a rival is named twice; name each once")
    peak = product_peak(dtype)
    for size in sizes:
        torch.manual_seed(0)
        xs = torch.randn(size.steps, size.batch, size.input_size, dtype=dtype)
        layer = ours(cell, unroller)(size).to(dtype)
        modules = [layer, *(build(size).to(dtype) for build in named.values())]
        passes = [one_pass(module, xs, training) for module in modules]
        times = interleaved(passes, pairs)
        memory = [peak_memory(each) for each in passes]
        seconds = median(times[0])
        yield Outcome(
            cell=cell if isinstance(cell, str) else str(choice),
            unroller=str(layer.unroller),
            size=size,
            training=training,
            pairs=pairs,
            seconds=seconds,
            share=flops(layer, size, training) / seconds / peak,
            bytes=memory[0],
            rivals={label: ratio(taken, times[0]) for label, taken in zip(named, times[1:], strict=True)},
            rival_bytes=dict(zip(named, memory[1:], strict=True)),
        )


def one_pass(module: nn.Module, xs: torch.Tensor, training: bool) -> Callable[[], object]:
    """Give a pass through a module: as in training, with the gradients of input and weights, or without any."""
    given = torch.ones(())

    def train() -> None:
        inputs = xs.detach().requires_grad_()
        module.zero_grad(set_to_none=True)
        output = module(inputs)[0]
        output.backward(given.to(output).expand_as(output))

    def infer() -> None:
        with torch.no_grad():
            module(xs)

    module.train(training)
    return train if training else infer


def means(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Give the geometric mean of each rival's ratios over all sizes."""
    labels = outcomes[0].rivals if outcomes else ()
    return {label: geometric_mean([outcome.rivals[label].median for outcome in outcomes]) for label in labels}
