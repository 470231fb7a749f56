"""MGU2: a minimal gated unit whose gate sees the state alone, without a bias.

    f = σ(U_f h)
    n = tanh(W_n x + b_in + U_n (f ⊙ h) + b_hn)
    h = (1 - f) ⊙ h + f ⊙ n,  y = h

Paper: Heck & Salem, "Simplified Minimal Gated Unit Variations for Recurrent Neural Networks", IEEE Midwest Symposium on
Circuits and Systems, 2017.

What differs: nothing.

When to use it: in place of the MGU, which it beats in the paper with fewer parameters.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked


class MGU2(Stacked):
    """Minimal gated unit, variant 2: the gate sees h alone (Heck & Salem 2017).

    State: h (B, H). Parameters: weight_ih (H, D), weight_hh (H, H), bias_ih and bias_hh (H,) of n; weight_fh (H, H) is
    U_f.
    """

    name = "mgu2"
    gates = blocks = ("n",)
    weight_fh: Annotated[nn.Parameter, "H, H"]

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        f = torch.sigmoid(F.linear(h, self.weight_fh))
        (h_n,) = self.products(f * h)
        h = (1 - f) * h + f * torch.tanh(p + h_n)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the MGU2."""
    return [MGU2]
