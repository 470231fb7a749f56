"""Minion recurrent unit: a GRU whose gates are two constants.

    n = tanh(W x + b_i + U (β h) + b_h)
    h = λ h + (1 - λ) n,  y = h

Paper: Zyarah & Kudithipudi, "Minion Gated Recurrent Unit for Continual Learning", arXiv 2503.06175, 2025.

What differs: nothing; it is the paper's MiRU-2, whose reset gate is a constant too. Its MiRU-1 has that gate.

When to use it: on small devices, with a third of the parameters of a GRU; `update` sets how long it remembers.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit.errors import check_rate
from rnnkit_zoo._stacked import Stacked


class MiRU(Stacked):
    """Minion recurrent unit (Zyarah 2025).

    State: h (B, H). Parameters: weight_ih (H, D), weight_hh (H, H), bias_ih and bias_hh (H,).

    Args:
        update: λ from 0 to 1, how much of h stays.
        reset: β from 0 to 1, how much of h the candidate sees.
    """

    name = "miru"
    gates = blocks = ("n",)

    def __init__(
        self, input_size: int, hidden_size: int, *, update: float = 0.5, reset: float = 0.5, bias: bool = True
    ) -> None:
        self.check(check_rate, update=update, reset=reset)
        super().__init__(input_size, hidden_size, bias=bias)
        self.update, self.reset = update, reset

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        (h_n,) = self.products(self.reset * h)
        h = self.update * h + (1 - self.update) * torch.tanh(p + h_n)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the minion recurrent unit."""
    return [MiRU]
