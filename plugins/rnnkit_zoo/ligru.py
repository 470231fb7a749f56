"""Light GRU: no reset gate, and a candidate that is rectified.

    z = σ(W_z x + b_iz + U_z h + b_hz)
    n = relu(W_n x + b_in + U_n h + b_hn)
    h = z ⊙ h + (1 - z) ⊙ n,  y = h

Paper: Ravanelli, Brakel, Omologo & Bengio, "Light Gated Recurrent Units for Speech Recognition", IEEE Transactions on
Emerging Topics in Computational Intelligence 2(2), 2018.

Gate order: z, n in the rows of every weight.

What differs: the paper normalises W_z x and W_n x over the batch; here they are plain, with biases, for rows of a batch
are independent of each other in rnnkit. Nothing then bounds h: clip the gradients.

When to use it: on speech and other densely sampled signals, for a third less computation than a GRU.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import GLOROT, ORTHOGONAL, starting


class LiGRU(Stacked):
    """Light gated recurrent unit, without batch normalisation (Ravanelli 2018).

    State: h (B, H). Parameters in the rows z, n: weight_ih (2H, D), weight_hh (2H, H), bias_ih and bias_hh (2H,).
    """

    name = "ligru"
    gates = blocks = ("z", "n")
    forget_gate = "z"
    starts = starting(weight_ih=GLOROT, weight_hh=ORTHOGONAL, bias_ih=0, bias_hh=0)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 2H), h (B, H)."""
        (h,) = state
        p_z, p_n = p.chunk(2, dim=1)
        h_z, h_n = self.products(h)
        z = torch.sigmoid(p_z + h_z)
        h = z * h + (1 - z) * torch.relu(p_n + h_n)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the Li-GRU."""
    return [LiGRU]
