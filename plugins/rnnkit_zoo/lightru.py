"""Light recurrent unit: one gate, and a candidate of the input alone.

    f = σ(W_f x + b_if + U_f h + b_hf)
    n = tanh(W_n x)
    h = (1 - f) ⊙ h + f ⊙ n,  y = h

Paper: Ye, Zhang, Liu, Li, Chang & Zheng, "Light Recurrent Unit: Towards an Interpretable Recurrent Neural Network for
Modeling Long-Range Dependency", Electronics 13(16), 2024.

What differs: the paper also changes the activation in deep stacks, its Stack Recurrent Cells; layers here are stacked
as of any cell. It calls f a forget gate, but an open f lets in and a closed one keeps.

When to use it: for a memory that can be read, h being an average of what the inputs were.
"""

from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked


class LightRU(Stacked):
    """Light recurrent unit (Ye 2024).

    State: h (B, H). Parameters: weight_ih (H, D), weight_hh (H, H), bias_ih and bias_hh (H,) of f; weight_in (H, D) is
    W_n.
    """

    name = "lightru"
    gates = blocks = ("f",)
    weight_in: Annotated[nn.Parameter, "H, D"]

    def project(self, xs: Tensor) -> Any:
        """Compute the gate's part and the candidate: (T, B, D) -> W_f x + b_if and n, each (T, B, H)."""
        return super().project(xs), torch.tanh(F.linear(xs, self.weight_in))

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p two (B, H), h (B, H)."""
        (h,) = state
        p_f, n = p
        (h_f,) = self.products(h)
        f = torch.sigmoid(p_f + h_f)
        h = (1 - f) * h + f * n
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the light recurrent unit."""
    return [LightRU]
