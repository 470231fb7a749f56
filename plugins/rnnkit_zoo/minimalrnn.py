"""MinimalRNN: the state is an average of embedded inputs, weighted by one update gate.

    z = tanh(W x + b_z)
    u = σ(U_h h + U_z z + b_u)
    h = u ⊙ h + (1 - u) ⊙ z,  y = h

Paper: Chen, "MinimalRNN: Toward More Interpretable and Trainable Recurrent Neural Networks", NIPS 2017 Symposium on
Interpretable Machine Learning, arXiv 1711.06788.

What differs: nothing; of the embeddings Φ(x) that the paper allows for z, its one fully connected layer with tanh.

When to use it: for states that stay in the space of the embedded inputs, where they can be read.
"""

from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked


class MinimalRNN(Stacked):
    """Minimal recurrent network (Chen 2017).

    State: h (B, H). Parameters: weight_ih (H, D) and bias_ih (H,) of z; weight_hh (H, H) and bias_hh (H,) of u, and its
    weight_uz (H, H) on z.
    """

    name = "minimalrnn"
    blocks = ("z",)
    recurrent_blocks = ("u",)
    weight_uz: Annotated[nn.Parameter, "H, H"]

    def project(self, xs: Tensor) -> Any:
        """Embed the input, and compute its part of the gate: (T, B, D) -> z and U_z z, each (T, B, H)."""
        z = torch.tanh(super().project(xs))
        return z, F.linear(z, self.weight_uz)

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p two (B, H), h (B, H)."""
        (h,) = state
        z, p_u = p
        (h_u,) = self.products(h)
        u = torch.sigmoid(p_u + h_u)
        h = u * h + (1 - u) * z
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the MinimalRNN."""
    return [MinimalRNN]
