"""Independently recurrent network: each unit sees of the past only itself.

    h = relu(W x + b + u ⊙ h),  y = h

Paper: Li, Li, Cook, Zhu & Gao, "Independently Recurrent Neural Network (IndRNN): Building A Longer and Deeper RNN",
CVPR 2018.

What differs: nothing in the step; the paper also keeps |u| below 2^(1/T) while it trains on sequences of length T,
which is left to the training, and lets u begin between 0 and that bound; here it begins in U(0, 1), whatever T is.

When to use it: several layers deep, for long sequences, where one product with h at every step is too slow.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import check_flag


class IndRNN(rnnkit.Cell):
    """Independently recurrent network with rectified linear units (Li 2018).

    State: h (B, H). Parameters: weight_ih (H, D), u (H,), bias_ih (H,), absent with `bias=False`.

    Args:
        input_size: D.
        hidden_size: H.
        bias: whether there is a bias.
    """

    name = "indrnn"

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        check_flag("cell 'indrnn': bias", bias)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.u = nn.Parameter(torch.empty(hidden_size))
        self.bias_ih: nn.Parameter | None
        self.register_parameter("bias_ih", nn.Parameter(torch.empty(hidden_size)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw u from U(0, 1), all else from U(-1/√H, 1/√H)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for name, parameter in self.named_parameters():
            nn.init.uniform_(parameter, 0 if name == "u" else -bound, 1 if name == "u" else bound)

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's part: (T, B, D) -> (T, B, H)."""
        return F.linear(xs, self.weight_ih, self.bias_ih)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        h = torch.relu(p + self.u * h)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the IndRNN."""
    return [IndRNN]
