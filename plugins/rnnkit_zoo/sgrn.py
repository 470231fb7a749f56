"""Simple gated recurrent network: one product with the input and one with h, for gate and candidate alike.

    s = W x + b_i
    f = σ(s + U h + b_h)
    h = tanh((1 - f) ⊙ s + f ⊙ h),  y = h

Paper: Zu & Wei, "A simple gated recurrent network for detection of power quality disturbances", IET Generation,
Transmission & Distribution 15(4), 2021.

What differs: two biases where the paper has one; b_h is in the gate alone.

When to use it: on sensors and other small devices, where even the parameters of a GRU are too many.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked


class SGRN(Stacked):
    """Simple gated recurrent network (Zu & Wei 2021).

    State: h (B, H). Parameters: weight_ih (H, D), weight_hh (H, H), bias_ih and bias_hh (H,).
    """

    name = "sgrn"
    gates = blocks = ("f",)
    forget_gate = "f"

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        f = torch.sigmoid(p + F.linear(h, self.weight_hh, self.bias_hh))
        h = torch.tanh((1 - f) * p + f * h)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the simple gated recurrent network."""
    return [SGRN]
