"""FastRNN: a simple recurrent network with a weighted residual connection, two scalars more than it.

    n = tanh(W x + b_i + U h + b_h)
    h = σ(α) n + σ(β) h,  y = h

Paper: Kusupati, Singh, Bhatia, Kumar, Jain & Varma, "FastGRNN: A Fast, Accurate, Stable and Tiny Kilobyte Sized
Gated Recurrent Neural Network", NeurIPS 2018.

What differs: nothing; here α and β are the numbers that are trained, of which the paper's lie between 0 and 1 by a
sigmoid.

When to use it: on small devices, where a simple network is unstable and a gated one too large.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import normal, starting


class FastRNN(Stacked):
    """Simple network with a weighted residual connection (Kusupati 2018).

    State: h (B, H). Parameters: weight_ih (H, D), weight_hh (H, H), bias_ih and bias_hh (H,), alpha and beta (1,).
    """

    name = "fastrnn"
    gates = blocks = ("n",)
    alpha: Annotated[nn.Parameter, "1", -3]
    beta: Annotated[nn.Parameter, "1", 3]
    starts = starting(normal(0.1), bias_ih=1, bias_hh=0)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        (h_n,) = self.products(h)
        h = torch.sigmoid(self.alpha) * torch.tanh(p + h_n) + torch.sigmoid(self.beta) * h
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the FastRNN."""
    return [FastRNN]
