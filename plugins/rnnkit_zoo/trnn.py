"""T-RNN: strongly typed, so that h is an average of the features that the inputs have had.

    z = W x + b_z
    f = σ(V x + b_f)
    h = f ⊙ h + (1 - f) ⊙ z,  y = h

Paper: Balduzzi & Ghifary, "Strongly-Typed Recurrent Neural Networks", ICML 2016.

Gate order: z, f in the rows of weight_ih and bias_ih.

What differs: z has a bias too.

When to use it: in several layers, where speed matters: no step has a product with h.
"""

from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._fed import Fed


class TRNN(Fed):
    """Strongly-typed recurrent network (Balduzzi 2016).

    State: h (B, H). Parameters in the rows z, f: weight_ih (2H, D), bias_ih (2H,), absent with `bias=False`.
    """

    name = "trnn"
    blocks = ("z", "f")

    def project(self, xs: Tensor) -> Any:
        """Compute the forget gate and what is let in, (1 - f) ⊙ z: (T, B, D) -> twice (T, B, H)."""
        z, f = super().project(xs).chunk(2, dim=2)
        f = torch.sigmoid(f)
        return f, (1 - f) * z

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p twice (B, H), h (B, H)."""
        (h,) = state
        f, new = p
        h = f * h + new
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the T-RNN."""
    return [TRNN]
