"""Master gates: they rise from unit to unit, so that the units are ordered."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit_zoo._stacked import Stacked


class MasterGates(Stacked):
    """A cell with two master gates beside its blocks, of M = H / C numbers each, which C neighbours share."""

    def __init__(self, input_size: int, hidden_size: int, *, chunk_size: int = 1, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.check_divisor(chunk_size=chunk_size)
        count = hidden_size // chunk_size
        self.master_ih = nn.Linear(input_size, 2 * count, bias=bias)
        self.master_hh = nn.Linear(hidden_size, 2 * count, bias=bias)
        self.sums = nn.Buffer(torch.ones(count, count).tril().repeat_interleave(chunk_size, 0), persistent=False)

    def master_gates(self, masters: Tensor) -> tuple[Tensor, ...]:
        """Return cumsum(softmax) of both, of their rows (B, 2M): each (B, H)."""
        return tuple(F.linear(torch.softmax(master, 1), self.sums) for master in masters.chunk(2, dim=1))
