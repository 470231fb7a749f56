"""IRNN: a network of rectified linear units that begins as a sum of its inputs.

    h = relu(W x + b_i + U h + b_h),  y = h        U begins as the identity, the biases as zeros

Paper: Le, Jaitly & Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units",
arXiv 1504.00941, 2015.

What differs: nothing; `scale` is the paper's factor of the identity, 1, or 0.01 where little memory is wanted.

When to use it: as the plainest network with a long memory to compare with, at a small learning rate and with clipped
gradients.
"""

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit.errors import check_positive
from rnnkit_zoo._stacked import Stacked


class IRNN(Stacked):
    """Rectified linear network that begins with the identity (Le 2015).

    State: h (B, H). Parameters: weight_ih (H, D), weight_hh (H, H), bias_ih and bias_hh (H,).

    Args:
        scale: what weight_hh begins as, times the identity.
    """

    name = "irnn"
    gates = blocks = ("h",)

    def __init__(self, input_size: int, hidden_size: int, *, scale: float = 1.0, bias: bool = True) -> None:
        check_positive("cell 'irnn': scale", scale)
        self.scale = scale
        super().__init__(input_size, hidden_size, bias=bias)

    def reset_parameters(self) -> None:
        """Draw weight_ih from the normal distribution of deviation 0.001; weight_hh is the identity, biases are 0."""
        nn.init.normal_(self.weight_ih, std=0.001)
        with torch.no_grad():
            self.weight_hh.copy_(self.scale * torch.eye(self.hidden_size))
        for bias in (self.bias_ih, self.bias_hh):
            if bias is not None:
                nn.init.zeros_(bias)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = self.products(*state)
        h = torch.relu(p + h)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the IRNN."""
    return [IRNN]
