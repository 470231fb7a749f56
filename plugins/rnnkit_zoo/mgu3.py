"""MGU3: a minimal gated unit whose gate is a learnt constant of each unit.

    f = σ(b_f)
    n = tanh(W_n x + b_in + U_n (f ⊙ h) + b_hn)
    h = (1 - f) ⊙ h + f ⊙ n,  y = h

Paper: Heck & Salem, "Simplified Minimal Gated Unit Variations for Recurrent Neural Networks", IEEE Midwest Symposium on
Circuits and Systems, 2017.

What differs: nothing.

When to use it: as a leaky network whose units learn how fast they leak; the smallest of the MGU's variants.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked


class MGU3(Stacked):
    """Minimal gated unit, variant 3: the gate is a bias (Heck & Salem 2017).

    State: h (B, H). Parameters: weight_ih (H, D), weight_hh (H, H), bias_ih and bias_hh (H,) of n; bias_f (H,), which
    stays with `bias=False`.
    """

    name = "mgu3"
    gates = blocks = ("n",)
    bias_f: Annotated[nn.Parameter, "H"]

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        f = torch.sigmoid(self.bias_f)
        (h_n,) = self.products(f * h)
        h = (1 - f) * h + f * torch.tanh(p + h_n)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the MGU3."""
    return [MGU3]
