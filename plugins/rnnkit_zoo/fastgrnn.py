"""FastGRNN: a gated network whose gate and candidate share their weights and differ by their biases.

    s = W x + U h
    z = σ(s + b_z)
    n = tanh(s + b_n)
    h = (σ(ζ) (1 - z) + σ(ν)) ⊙ n + z ⊙ h,  y = h

Paper: Kusupati, Singh, Bhatia, Kumar, Jain & Varma, "FastGRNN: A Fast, Accurate, Stable and Tiny Kilobyte Sized
Gated Recurrent Neural Network", NeurIPS 2018.

What differs: W and U are full; the paper may have them of low rank, sparse and quantised. Here ζ and ν are the numbers
that are trained, of which the paper's lie between 0 and 1 by a sigmoid; they begin at 1 and -4.

When to use it: on small devices, instead of a GRU of three times its parameters.
"""

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked


class FastGRNN(Stacked):
    """Gated network with one pair of weights (Kusupati 2018).

    State: h (B, H). Parameters: weight_ih (H, D), weight_hh (H, H), bias_z and bias_n (H,), zeta and nu (1,).
    """

    name = "fastgrnn"
    blocks = ("s",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, bias=False)

    def add_parameters(self) -> None:
        """Add the biases, which gate and candidate do not share, and the two scalars."""
        self.bias_z = nn.Parameter(torch.empty(self.hidden_size))
        self.bias_n = nn.Parameter(torch.empty(self.hidden_size))
        self.zeta = nn.Parameter(torch.empty(1))
        self.nu = nn.Parameter(torch.empty(1))

    def reset_parameters(self) -> None:
        """Draw all from U(-1/√H, 1/√H) but the biases and zeta, which are 1, and nu, which is -4."""
        super().reset_parameters()
        for parameter, value in ((self.bias_z, 1.0), (self.bias_n, 1.0), (self.zeta, 1.0), (self.nu, -4.0)):
            nn.init.constant_(parameter, value)

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
