"""Independently recurrent network: each unit sees of the past only itself.

    h = relu(W x + b + u ⊙ h),  y = h

Paper: Li, Li, Cook, Zhu & Gao, "Independently Recurrent Neural Network (IndRNN): Building A Longer and Deeper RNN",
CVPR 2018.

What differs: nothing in the step; the paper also keeps |u| below 2^(1/T) while it trains on sequences of length T,
which is left to the training, and lets u begin between 0 and that bound; here, as in the code's default, below 1.

When to use it: several layers deep, for long sequences, where one product with h at every step is too slow.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit_zoo._fed import Fed
from rnnkit_zoo._starts import D, kaiming_uniform, root, starting, uniform


class IndRNN(Fed):
    """Independently recurrent network with rectified linear units (Li 2018).

    State: h (B, H). Parameters: weight_ih (H, D), u (H,), bias_ih (H,), absent with `bias=False`.
    """

    name = "indrnn"
    u: Annotated[nn.Parameter, "H", uniform(1, low=0)]
    starts = starting(weight_ih=kaiming_uniform(8), bias_ih=uniform(1 / root(D)))

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        h = torch.relu(p + self.u * h)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the IndRNN."""
    return [IndRNN]
