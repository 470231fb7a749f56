"""Clockwork RNN: modules of units that step every 1, 2, 4, ... steps, the fast ones reading the slow ones.

    n = tanh(W x + b_ih + U h + b_hh)           U_jk = 0 where unit k is in a faster module than unit j
    h_j = n_j where t is a multiple of the period of unit j, else h_j;  y = h        fast units come first
    t = t + 1, and 0 again after the longest period

Paper: Koutník, Greff, Gomez & Schmidhuber, "A Clockwork RNN", ICML 2014.

What differs: where the number of modules does not divide H, they are not of equal size; the output layer is not here.

When to use it: signals with slow and fast parts of known scales.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import check_whole
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import normal, starting


class Clockwork(Stacked):
    """Clockwork RNN with periods of powers of two (Koutník 2014).

    State: h (B, H), t (B, 1), the step's number. Parameters: weight_ih (H, D), weight_hh (H, H), not all of which is
    read, bias_ih and bias_hh (H,).

    Args:
        modules: how many there are; the slowest has the period 2^(modules - 1).
    """

    name = "clockwork"
    state_names = ("h", "t")
    state_widths = ("H", "1")
    gates = blocks = ("n",)
    starts = starting(normal(0.1))

    def __init__(self, input_size: int, hidden_size: int, *, modules: int = 4, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.check(check_whole, modules=modules)
        periods = 2.0 ** (torch.arange(hidden_size) * modules // hidden_size)
        self.periods = nn.Buffer(periods, persistent=False)
        self.slower = nn.Buffer((periods.unsqueeze(1) <= periods).to(periods), persistent=False)  # (H, H)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H), t (B, 1)."""
        h, t = state
        n = torch.tanh(p + F.linear(h, self.weight_hh * self.slower, self.bias_hh))
        due = torch.floor(t / self.periods) > torch.floor((t - 1) / self.periods)  # a multiple lies in (t - 1, t]
        h, longest = torch.where(due, n, h), self.periods[-1]
        return h, (h, t + 1 - longest * torch.floor((t + 1) / longest))


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the clockwork RNN."""
    return [Clockwork]
