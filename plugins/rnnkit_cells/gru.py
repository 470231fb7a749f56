"""Gated recurrent unit.

    r = σ(W_ir x + b_ir + W_hr h + b_hr)            reset gate
    z = σ(W_iz x + b_iz + W_hz h + b_hz)            update gate
    n = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn))   candidate
    h = (1 - z) ⊙ n + z ⊙ h,  y = h

Paper: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
EMNLP 2014.

Gate order: r, z, n in the rows of every weight, as in torch.nn.GRU.

What differs: the paper resets h before the matrix product, W_hn (r ⊙ h); here, as in torch and cuDNN, after it, so
that one product serves all gates. From torch.nn.GRU, nothing but rounding.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_cells._gated import Gated


class GRU(Gated):
    """Gated recurrent unit, reset after the product (Cho 2014).

    State: h (B, H). Parameters in the rows r, z, n: weight_ih (3H, D), weight_hh (3H, H), bias_ih and bias_hh (3H,).
    """

    name = "gru"
    gates = 3

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's part of all gates: (T, B, D) -> (T, B, 3H); b_hh waits for the reset gate."""
        return F.linear(xs, self.weight_ih, self.bias_ih)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H), h (B, H)."""
        (h,) = state
        p_r, p_z, p_n = p.chunk(3, dim=1)
        h_r, h_z, h_n = F.linear(h, self.weight_hh, self.bias_hh).chunk(3, dim=1)
        r = torch.sigmoid(p_r + h_r)
        z = torch.sigmoid(p_z + h_z)
        n = torch.tanh(p_n + r * h_n)
        h = n + z * (h - n)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the GRU."""
    return [GRU]
