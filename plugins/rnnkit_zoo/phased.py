"""Phased LSTM: each unit is open for a part of a rhythm of its own, and keeps its state for the rest.

    φ = (t - s) / τ, less its whole part                        where in its period a unit is
    k = 2φ / r if φ < r / 2,  2 - 2φ / r if φ < r,  else αφ     time gate: opens, closes, leaks α = 0.001
    i, f = σ(W x + b_ih + U h + b_hh + p ⊙ c),  g = tanh(W_g x + b_ig + U_g h + b_hg)
    c~ = f ⊙ c + i ⊙ g,  c = k ⊙ c~ + (1 - k) ⊙ c
    o = σ(W_o x + b_io + U_o h + b_ho + p_o ⊙ c)
    h = k ⊙ o ⊙ tanh(c~) + (1 - k) ⊙ h,  y = h,  t = t + Δ

Paper: Neil, Pfeiffer & Liu, "Phased LSTM: Accelerating Recurrent Network Training for Long or Event-based Sequences",
NeurIPS 2016.

What differs: steps are equally far apart, and the leak α stays while evaluating, where the paper sets it to zero; in
the authors' code the gate o sees c~, and r is not trained.

When to use it: long sequences at a high rate, of which a unit needs a few samples only.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit_zoo._lstm import LSTMLike
from rnnkit_zoo._starts import in_turn, normal, starting
from rnnkit_zoo._timegate import TimeGate


class Phased(TimeGate, LSTMLike):
    """LSTM with peepholes behind time gates (Neil 2016).

    State: h, c (B, H), t (B, 1), the time. Parameters in the rows i, f, g, o: weight_ih (4H, D), weight_hh (4H, H),
    bias_ih and bias_hh (4H,); in the rows i, f, o: peephole (3, H); τ, s and r: period, shift and open_ratio (H,).

    Args:
        time_step: Δ.
    """

    name = "phased"
    state_names = ("h", "c", "t")
    state_widths = ("H", "H", "1")
    peephole: Annotated[nn.Parameter, "3, H"]
    starts = starting(normal(0.1), bias_ih=in_turn(i=0, f=2, g=0, o=0), bias_hh=0)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H), h, c (B, H), t (B, 1)."""
        (h, c, t), (i, f, g, o) = state, self.preactivations(p, state[0])
        k = self.openness(t)
        new = torch.sigmoid(f + self.peephole[1] * c) * c + torch.sigmoid(i + self.peephole[0] * c) * torch.tanh(g)
        c = k * new + (1 - k) * c
        h = k * torch.sigmoid(o + self.peephole[2] * c) * torch.tanh(new) + (1 - k) * h
        return h, (h, c, t + self.time_step)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the phased LSTM."""
    return [Phased]
