"""Phased LSTM: each unit is open for a part of a rhythm of its own, and keeps its state for the rest.

    φ = (t - s) / τ, less its whole part                        where in its period a unit is
    k = 2φ / r if φ < r / 2,  2 - 2φ / r if φ < r,  else αφ     time gate: opens, closes, leaks α = 0.001
    i, f = σ(W x + b_ih + U h + b_hh + p ⊙ c),  g = tanh(W_g x + b_ig + U_g h + b_hg)
    c~ = f ⊙ c + i ⊙ g
    c = k ⊙ c~ + (1 - k) ⊙ c
    o = σ(W_o x + b_io + U_o h + b_ho + p_o ⊙ c)
    h = k ⊙ o ⊙ tanh(c~) + (1 - k) ⊙ h,  y = h
    t = t + Δ

Paper: Neil, Pfeiffer & Liu, "Phased LSTM: Accelerating Recurrent Network Training for Long or Event-based Sequences",
NeurIPS 2016.

Gate order: i, f, g, o in the rows of every weight; i, f, o in those of the peepholes.

What differs: steps are equally far apart, and the leak α stays while evaluating, where the paper sets it to zero.

When to use it: long sequences at a high rate, of which a unit needs a few samples only.
"""

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit.errors import check_positive
from rnnkit_zoo._stacked import Stacked


class Phased(Stacked):
    """LSTM with peepholes behind time gates (Neil 2016).

    State: h, c (B, H), t (B, 1), the time. Parameters: weight_ih (4H, D), weight_hh (4H, H), bias_ih and bias_hh (4H,),
    peephole (3, H); period (H,), τ, from exp(U(0, 3)), shift (H,), s, from U(0, τ), open_ratio (H,), r, from 0.05.

    Args:
        time_step: Δ.
        bias: whether the LSTM has biases.
    """

    name = "phased"
    state_names = ("h", "c", "t")
    gates = blocks = ("i", "f", "g", "o")
    forget_gate, input_gate = "f", "i"

    def __init__(self, input_size: int, hidden_size: int, *, time_step: float = 1.0, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        check_positive("cell 'phased': time_step", time_step)
        self.time_step = time_step
        self.peephole = nn.Parameter(torch.empty(3, hidden_size).uniform_(-(hidden_size**-0.5), hidden_size**-0.5))
        self.period = nn.Parameter(torch.exp(3 * torch.rand(hidden_size)))
        self.shift = nn.Parameter(self.period.detach() * torch.rand(hidden_size))
        self.open_ratio = nn.Parameter(torch.full((hidden_size,), 0.05))

    @property
    def state_sizes(self) -> tuple[int, int, int]:
        """Width of each state tensor: H, H, 1."""
        return self.hidden_size, self.hidden_size, 1

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H), h, c (B, H), t (B, 1)."""
        h, c, t = state
        i, f, g, o = (part + product for part, product in zip(p.chunk(4, dim=1), self.products(h), strict=True))
        turns = (t - self.shift) / self.period
        phase = turns - torch.floor(turns)
        r = self.open_ratio
        k = torch.where(r / 2 > phase, 2 * phase / r, torch.where(r > phase, 2 - 2 * phase / r, 0.001 * phase))
        new = torch.sigmoid(f + self.peephole[1] * c) * c + torch.sigmoid(i + self.peephole[0] * c) * torch.tanh(g)
        c = k * new + (1 - k) * c
        h = k * torch.sigmoid(o + self.peephole[2] * c) * torch.tanh(new) + (1 - k) * h
        return h, (h, c, t + self.time_step)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the phased LSTM."""
    return [Phased]
