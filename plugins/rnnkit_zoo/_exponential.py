"""Exponential gates: a state m, the largest exponent so far, keeps them from overflowing."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import State
from rnnkit.errors import check_flag
from rnnkit_zoo._stacked import Stacked


def stabilised(kept: Tensor, i: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return exp(l + m - m'), exp(i~ - m') and m' = max(l + m, i~), of `kept`, l + m, and i~: all of one shape."""
    m = torch.maximum(kept, i)
    return torch.exp(kept - m), torch.exp(i - m), m


class Exponential(Stacked):
    """An LSTM whose input gate is an exponential, and the forget gate may be: its states are h, c, n and m."""

    state_domains = {"n": "non-negative"}  # noqa: RUF012
    gates = blocks = ("i", "f", "z", "o")
    forget_gate, input_gate = "f", "i"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        exponential_forget: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.check(check_flag, exponential_forget=exponential_forget)
        self.check_divisor(heads=heads)
        self.heads, self.exponential_forget = heads, exponential_forget
        if heads > 1:
            self.weight_hh = nn.Parameter(torch.empty(len(self.blocks) * hidden_size, hidden_size // heads))
            self.reset_parameters()

    def initial_state(self, batch_size: int) -> State:
        """Return zeros, and an m so low that any input outweighs it: (B, H) each."""
        h, c, n, m = super().initial_state(batch_size)
        return h, c, n, m - 1e4

    def preactivations(self, p: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        """Return all blocks; h (B, H) goes to the units of its own head alone."""
        if self.heads == 1:
            return super().preactivations(p, h)
        size = self.hidden_size // self.heads
        weight = self.weight_hh.view(len(self.blocks), self.heads, size, size)
        products = torch.einsum("bki,gkji->bgkj", h.view(-1, self.heads, size), weight).flatten(1)
        return (p + products if self.bias_hh is None else p + products + self.bias_hh).chunk(len(self.blocks), dim=1)

    def exponentials(self, f: Tensor, i: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return both gates, stabilised, and the new m, of their blocks f~ and i~ and the old m: each (B, H)."""
        return stabilised(m + (f if self.exponential_forget else F.logsigmoid(f)), i)
