"""FastGRNN: a gated network whose gate and candidate share their weights and differ by their biases.

    s = W x + U h
    z = σ(s + b_z)
    n = tanh(s + b_n)
    h = (σ(ζ) (1 - z) + σ(ν)) ⊙ n + z ⊙ h,  y = h

Paper: Kusupati, Singh, Bhatia, Kumar, Jain & Varma, "FastGRNN: A Fast, Accurate, Stable and Tiny Kilobyte Sized
Gated Recurrent Neural Network", NeurIPS 2018.

What differs: W and U are full; the paper may have them of low rank, sparse and quantised. Here ζ and ν are the numbers
that are trained, of which the paper's lie between 0 and 1 by a sigmoid.

When to use it: on small devices, instead of a GRU of three times its parameters.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import normal, starting


class FastGRNN(Stacked):
    """Gated network with one pair of weights (Kusupati 2018).

    State: h (B, H). Parameters: weight_ih (H, D), weight_hh (H, H), bias_z and bias_n (H,), zeta and nu (1,).
    """

    name = "fastgrnn"
    blocks = ("s",)
    bias_z: Annotated[nn.Parameter, "H", 1]
    bias_n: Annotated[nn.Parameter, "H", 1]
    zeta: Annotated[nn.Parameter, "1", 1]
    nu: Annotated[nn.Parameter, "1", -4]
    starts = starting(normal(0.1))

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, bias=False)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        (h_s,) = self.products(h)
        z = torch.sigmoid(p + h_s + self.bias_z)
        n = torch.tanh(p + h_s + self.bias_n)
        h = (torch.sigmoid(self.zeta) * (1 - z) + torch.sigmoid(self.nu)) * n + z * h
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the FastGRNN."""
    return [FastGRNN]
