"""The workload: what every candidate runs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from rnnkit.benchmark.sizes import Size

Input = Tensor | PackedSequence

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Workload:
    """A size, in training or without gradients, in a dtype, with rows of one length or of many, on a device."""

    size: Size
    training: bool = True
    """Forward, and backward with the gradients of input and weights; otherwise forward without any."""

    dtype: torch.dtype = torch.float32
    ragged: bool = False
    """The input is a PackedSequence, its rows T/4 to T steps long."""

    device: torch.device = CPU

    def lengths(self) -> list[int]:
        """Return the steps of each row: T, or if ragged whole numbers from T/4 to T, the same ones every time."""
        batch, steps = self.size[:2]
        if not self.ragged:
            return [steps] * batch
        generator = torch.Generator().manual_seed(0)
        return torch.randint(max(1, steps // 4), steps + 1, (batch,), generator=generator).tolist()

    def input(self) -> Input:
        """Draw the input: (T, B, D), or packed; on every device the same numbers."""
        xs = torch.randn(self.size.steps, self.size.batch, self.size.input_size, dtype=self.dtype).to(self.device)
        return pack_padded_sequence(xs, torch.tensor(self.lengths()), enforce_sorted=False) if self.ragged else xs

    def cut(self, steps: int) -> "Workload":
        """Return the same workload over other steps."""
        return replace(self, size=self.size._replace(steps=steps))


def one_pass(module: nn.Module, xs: Input, training: bool) -> Callable[[], object]:
    """Return a pass through a module: as in training, with the gradients of input and weights, or without any."""
    given = torch.ones((), device=(xs.data if isinstance(xs, PackedSequence) else xs).device)

    def train() -> None:
        inputs = _leaf(xs)
        module.zero_grad(set_to_none=True)
        output = module(inputs)[0]
        values = output.data if isinstance(output, PackedSequence) else output
        values.backward(given.to(values).expand_as(values))

    def infer() -> None:
        with torch.no_grad():
            module(xs)

    module.train(training)
    return train if training else infer


def _leaf(xs: Input) -> Input:
    if isinstance(xs, PackedSequence):
        return xs._replace(data=xs.data.detach().requires_grad_())
    return xs.detach().requires_grad_()
